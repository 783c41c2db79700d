// Reads /live: [u32][JSON][u32][JPEG]..., big-endian.

const LARGEST = 16 * 1024 * 1024;

// Call part(document, jpeg) for each; jpeg is a Uint8Array, empty for a heartbeat.
export async function readParts(response, part) {
  const reader = response.body.getReader();
  let held = new Uint8Array(0);
  let used = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const joined = new Uint8Array(held.length - used + value.length);
      joined.set(held.subarray(used));
      joined.set(value, held.length - used);
      held = joined;
      used = 0;
      for (;;) {
        const found = wholePart(held, used);
        if (!found) break;
        used = found.end;
        part(found.document, found.jpeg);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function wholePart(bytes, at) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (bytes.length < at + 4) return null;
  const text = view.getUint32(at);
  if (text > LARGEST) throw new Error("not a live stream");
  if (bytes.length < at + 8 + text) return null;
  const size = view.getUint32(at + 4 + text);
  if (size > LARGEST) throw new Error("not a live stream");
  const start = at + 8 + text;
  if (bytes.length < start + size) return null;
  const document = JSON.parse(new TextDecoder().decode(bytes.subarray(at + 4, at + 4 + text)));
  return { document, jpeg: bytes.slice(start, start + size), end: start + size };
}
