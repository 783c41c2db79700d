import json
import resource
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from doorbell.bench.gallery import ALIKE, measure_gallery, write_gallery
from doorbell.cli import main
from doorbell.errors import GalleryError
from doorbell.recognition.gallery import Gallery
from doorbell.recognition.nearest import MANY


def test_a_gallery_of_people_is_written(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    write_gallery(path, 200)
    with Gallery.open(path) as gallery:
        assert len(gallery.people.summaries()) == 20
        templates = gallery.templates("bench")
    similarities = templates.person_embeddings @ templates.person_embeddings.T
    same = templates.person_index[:, np.newaxis] == templates.person_index
    np.fill_diagonal(similarities, np.nan)
    assert np.nanmean(similarities[same]) == pytest.approx(ALIKE, abs=0.03)
    assert np.nanmean(similarities[~same]) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("size", [100, MANY])
def test_the_nearest_is_found_and_measured(size: int) -> None:
    said: list[str] = []
    report = measure_gallery([size], seconds=0, machine={}, say=said.append)
    ours, numpy = report.results
    assert (ours.backend, numpy.backend) == ("doorbell", "NumPy float32")
    assert ours.figures["exact"] == 1
    assert ours.figures["embeddings"] == numpy.figures["embeddings"] == size
    assert ours.figures["load_seconds"] >= 0
    ratio = numpy.timing.p50_ms / ours.timing.p50_ms
    assert report.ratios == {f"NumPy float32 / doorbell, {size:,}": ratio}
    assert len(said) == 2


def test_no_room_is_said(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(GalleryError, match="cannot write a gallery of 10000 embeddings"):
            write_gallery(tmp_path / "gallery.sqlite", 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_verb_prints_a_table_and_json() -> None:
    words = ["bench", "gallery", "--most", "10", "--seconds", "0"]
    table = CliRunner().invoke(main, words)
    assert table.exit_code == 0, table.output
    lines = table.stdout.splitlines()
    assert lines[-2].split()[:2] == ["10", "doorbell"]
    assert lines[-1].split()[:3] == ["10", "NumPy", "float32"]
    assert max(map(len, lines[-4:])) <= 80
    document = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert set(document) == {"machine", "results", "ratios"}
    assert document["results"][0]["exact"] == 1
