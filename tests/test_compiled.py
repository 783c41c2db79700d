from pathlib import Path

import pytest

from doorbell.inference.compiled import kept_compilation


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(b"weights")
    return path


def compile_once(network: Path, root: Path, manner: str = "f32") -> bool:
    """Whether it had to be compiled, as OpenVINO does it: look, else write."""
    with kept_compilation(network, manner, root) as directory:
        assert directory is not None
        if (directory / "blob").exists():
            return False
        (directory / "blob").write_bytes(b"compiled")
        return True


def test_what_was_compiled_is_found_again(network: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    assert compile_once(network, root)
    assert not compile_once(network, root)


def test_another_network_takes_its_place_in_its_own_manner(network: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    compile_once(network, root)
    assert compile_once(network, root, "bf16")
    assert not compile_once(network, root)
    network.write_bytes(b"other weights")
    assert compile_once(network, root, "bf16")
    assert len(list(root.iterdir())) == 2
    assert compile_once(network, root)
    assert len(list(root.iterdir())) == 2


def fail_half_way(network: Path, root: Path) -> None:
    with kept_compilation(network, "f32", root) as directory:
        assert directory
        (directory / "blob").write_bytes(b"comp")
        raise RuntimeError


def test_what_was_not_finished_is_not_kept(network: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    with pytest.raises(RuntimeError):
        fail_half_way(network, root)
    assert list(root.iterdir()) == []
    assert compile_once(network, root)


def test_whoever_comes_second_at_the_same_time_is_content(network: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    with kept_compilation(network, "f32", root) as directory:
        assert directory
        (directory / "blob").write_bytes(b"compiled")
        assert compile_once(network, root)
    assert not compile_once(network, root)
    assert len(list(root.iterdir())) == 1


def test_without_a_place_it_is_compiled_at_every_start(network: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with kept_compilation(network, "f32", tmp_path / "file") as directory:
        assert directory is None


def test_the_users_cache(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    with kept_compilation(network, "f32", None) as directory:
        assert directory
        assert directory.parent == tmp_path / "home" / "doorbell" / "networks"
