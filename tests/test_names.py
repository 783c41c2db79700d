"""Which names people may have: what can be seen and read, and is nobody's."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from command_line import Cli, sample
from hypothesis import given
from hypothesis import strategies as st

from doorbell.config import StorageSection
from doorbell.errors import InvalidNameError, UsageError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.names import clean_name
from doorbell.household.exchange_import import import_file
from doorbell.household.naming import name_stranger, rename_person
from doorbell.recognition.embedder import SFACE_ID
from doorbell.text import json_shown, shown

LIKE_NOBODY = (
    "Strаnger-7",  # noqa: RUF001 - Cyrillic
    "ѕtranger‐12",  # noqa: RUF001 - Cyrillic, and a hyphen that is another
    "stranger–7",  # noqa: RUF001 - a dash
    "STRANGER 7",
    "stranger_7",
    "ｓｔｒａｎｇｅｒ-７",  # noqa: RUF001 - full width
    "stranger-٧",  # noqa: RUF001 - Arabic
    "𝐬𝐭𝐫𝐚𝐧𝐠𝐞𝐫-𝟕",  # noqa: RUF001 - mathematical
    "sᴛʀᴀɴɢᴇʀ-3",
    "stranger-l",
    "strangér-7",
    "🇸🇹🇷🇦🇳🇬🇪🇷-7",
    "new-stranger-5",
    "nеw stranger 5",  # noqa: RUF001 - Cyrillic
    "unknown",
    "Unknоwn",  # noqa: RUF001 - Cyrillic
    "υnknown",  # noqa: RUF001 - Greek
    "unknovvn",
    "Ünknøwn",
    "nobody known",
    "sοmebody",  # noqa: RUF001 - Greek
    "unavailable",
)
UNSEEN = (
    "An\u200bna",
    "An\u200dna",
    "An\u200cna",
    "Anna\u200e",
    "An\u2800na",
    "\u3164A",
    "A\u115fB",
    "\uffa0x",
    "An\u00adna",
    "An\u034fna",
    "\ufeffAnna",
    "Anna\u2060",
    "x\ufe0f",
    "A\U000e0041B",
    "🏴\U000e0061",
    "Anna\U000e0101",
    "An\u00a0na",
    "An\u200ana",
    "\ue000",
    "A\u061cB",
)
KEPT = (
    "Ægir",
    "Łukasz",
    "Ngô Bảo Châu",
    "Анна",
    "Anna Петрова",
    "Нина",
    "李小龍",
    "山田\u3000太郎",
    "葛\U000e0100城",
    "علی\u200cرضا",  # noqa: RUF001 - Persian
    "ශ්\u200dරී",
    "র\u200d্যাব",
    "יעל",
    "👨🏽\u200d🚀 Tom",
    "❤\ufe0f Oma",
    "🏳\ufe0f\u200d🌈",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "Tom #1\ufe0f\u20e3",
    "Peter Stranger",
    "Dr. Strangelove",
    "Nonna",
)


@pytest.mark.parametrize("name", LIKE_NOBODY)
def test_a_name_that_reads_like_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="reads like a stranger, or nobody"):
        clean_name(name)


@pytest.mark.parametrize("name", UNSEEN, ids=map(ascii, UNSEEN))
def test_what_shows_nothing_is_refused_by_its_number(name: str) -> None:
    with pytest.raises(InvalidNameError, match=r"U\+[0-9A-F]{4,5}") as refused:
        clean_name(name)
    assert shown(str(refused.value)) == str(refused.value)


@pytest.mark.parametrize("name", ["\u2800", "\u3164", "\u115f\u1160", "\u2063", "\u200b\u2800"])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        clean_name(name)


@pytest.mark.parametrize("name", KEPT, ids=map(ascii, KEPT))
def test_names_of_any_script_and_several_stay_as_they_are(name: str) -> None:
    assert clean_name(name) == name
    assert shown(name) == name


Enter = Callable[[Gallery, str], object]
WAYS_IN: dict[str, Enter] = {
    "enroll": lambda gallery, name: gallery.people.enroll(name, [EnrolledSample(sample(7))]),
    "name": lambda gallery, name: name_stranger(gallery, 1, name),
    "rename": lambda gallery, name: rename_person(gallery, "Anna", name),
}


@pytest.mark.parametrize("enter", WAYS_IN.values(), ids=WAYS_IN)
def test_no_way_in_takes_such_a_name(storage: Path, enter: Enter) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        before = gallery.people.all(), gallery.strangers.all()
        for name in ("unknоwn", "\u2800", "Ann\u2060a"):  # noqa: RUF001 - Cyrillic
            with pytest.raises(InvalidNameError):
                enter(gallery, name)
        assert (gallery.people.all(), gallery.strangers.all()) == before


def test_an_import_takes_no_such_name(tmp_path: Path) -> None:
    person: dict[str, object] = {
        "kind": "person",
        "name": "n\u0435w-stranger-5",
        "chime": None,
        "preferences": {},
    }
    person |= {"consent": None, "consent_at": None, "samples": []}
    head = {"kind": "doorbell-gallery", "version": 1, "model_id": SFACE_ID}
    end = {"kind": "end", "people": 1, "strangers": 0}
    file = tmp_path / "file"
    file.write_text("\n".join(map(json.dumps, (head, person, end))))
    with pytest.raises(UsageError, match=r"line 2.*reads like a stranger"):
        import_file(StorageSection(directory=tmp_path / "there"), file, SFACE_ID, bool)


def test_a_name_that_no_longer_passes_is_told_and_can_be_changed(
    cli: Cli, storage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery, gallery.file.writing():
        gallery.file.execute(
            "UPDATE people SET name = ?1, name_key = ?1 WHERE name = 'Anna'", "str\u0430nger-1"
        )
    checked = cli("gallery", "check")
    assert checked.exit_code == 1
    assert "reads like a stranger" in checked.stdout
    assert "doorbell people rename" in checked.stdout
    made = json.loads(cli("gallery", "backup", "--json").stdout)["path"]
    assert cli("gallery", "restore", made, "-y").exit_code == 0
    assert "person 1: the name" in caplog.text
    assert cli("people", "rename", "str\u0430nger-1", "Anna").exit_code == 0


@given(st.text())
def test_what_is_shown_is_one_line_that_a_terminal_only_shows(text: str) -> None:
    line = shown(text)
    assert not any(ord(each) < 32 or 0x7F <= ord(each) < 0xA0 for each in line)
    assert not {"\u2028", "\u2029", "\u202e", "\u2066", "\u200b"} & set(line)
    line.encode()
    assert shown(line) == line


@given(st.text())
def test_json_for_a_terminal_means_the_same(text: str) -> None:
    document = json.dumps({text: [text]}, ensure_ascii=False, indent=2)
    printed = json_shown(document)
    assert json.loads(printed) == json.loads(document)
    assert "\x1b" not in printed
    assert "\x9b" not in printed


@given(st.text())
def test_a_name_that_is_taken_is_taken_again_as_it_is_and_shown_as_it_is(text: str) -> None:
    with suppress(InvalidNameError):
        name = clean_name(text)
        assert clean_name(name) == name == shown(name)
