import json
import resource
from pathlib import Path

import numpy as np
import pytest
from all_samples import read_samples
from click.testing import CliRunner

from doorbell.cli import main
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.measure.speed.gallery import (
    DECIDING,
    NEW_STRANGER,
    SAMPLES_OF_VISITOR,
    measure_gallery,
    write_gallery,
)
from doorbell.measure.speed.household import ALIKE
from doorbell.recognition.nearest import MANY


def test_a_gallery_of_people_and_strangers_is_written(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    write_gallery(path, 200)
    with Gallery.open(path) as gallery:
        assert len(gallery.people.summaries()) == len(gallery.strangers.all()) == 20
        samples = read_samples(gallery.file, "bench")
    similarities = samples.person_embeddings @ samples.stranger_embeddings.T
    assert np.mean(similarities) == pytest.approx(0, abs=0.03)
    similarities = samples.person_embeddings @ samples.person_embeddings.T
    same = samples.person_index[:, np.newaxis] == samples.person_index
    np.fill_diagonal(similarities, np.nan)
    assert np.nanmean(similarities[same]) == pytest.approx(ALIKE, abs=0.03)
    assert np.nanmean(similarities[~same]) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("size", [100, 2 * MANY * SAMPLES_OF_VISITOR])
def test_the_daemons_own_path_is_measured(size: int) -> None:
    said: list[str] = []
    report = measure_gallery([size], seconds=0, machine={}, say=said.append)
    deciding, following = report.results
    assert (deciding.name, following.name) == (DECIDING, NEW_STRANGER)
    assert deciding.figures["exact"] == 1
    assert deciding.figures["embeddings"] == following.figures["embeddings"] == size
    assert deciding.figures["load_seconds"] >= 0
    assert min(deciding.timing.p50_ms, following.timing.p50_ms) > 0
    assert following.figures["stored_ms"] > 0
    assert len(said) == 2


def test_no_room_is_said(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(GalleryError, match="cannot write a gallery of 10000 samples"):
            write_gallery(tmp_path / "gallery.sqlite", 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_verb_prints_a_table_and_json() -> None:
    words = ["bench", "gallery", "--most", "10", "--seconds", "0"]
    table = CliRunner().invoke(main, words)
    assert table.exit_code == 0, table.output
    lines = table.stdout.splitlines()
    assert any(line.split()[:2] == ["10", "deciding"] for line in lines)
    assert any(line.split()[:2] == ["10", "stranger"] for line in lines)
    assert max(map(len, lines[-4:])) <= 80
    document = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert set(document) == {"machine", "results", "ratios"}
    assert document["results"][0]["exact"] == 1
