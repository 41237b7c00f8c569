"""The hub: files found without a network, fetched with one, resumed, verified and explained."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest

from penstock.errors import (
    HubUnreachable,
    ModelBusy,
    ModelGated,
    ModelUnavailable,
    NotAllowed,
    NotEnoughDisk,
    PenstockError,
    UnsupportedModel,
)
from penstock.model.catalog import CatalogEntry, entry_for_folder, find
from penstock.model.folder import is_complete
from penstock.model.hub import (
    DownloadProgress,
    builtin_folder,
    download,
    local_folder,
    remove_download,
)
from penstock.model.hub_cache import HubAccess, hub_access
from penstock.model.hub_lock import Locked, locked
from penstock.model.hub_progress import Meter
from penstock.model.hub_transfer import MAX_FAILURES, RemoteFile, fetch
from penstock.model.loading import load_model
from penstock.ops.torch_ops import TorchOps
from tests.model.folders import COMMIT, lay_out_as_cache, shard, tiny_config, write_model
from tests.model.hub_server import FakeHub, serving

REPO = "someone/tiny"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model folder."""
    folder = tmp_path_factory.mktemp("source")
    write_model(folder, tiny_config())
    return folder


@pytest.fixture
def hub(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that has that folder and more, reached although tests are offline."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    extra = {"README.md": b"x" * 5000, "pytorch_model.bin": b"y" * 5000, "flax_model.msgpack": b"z"}
    with serving(FakeHub(REPO, files | extra)) as hub:
        yield hub


@pytest.fixture
def access(hub: FakeHub, tmp_path: Path) -> HubAccess:
    """The way to that hub, with an empty cache."""
    return HubAccess(
        cache_dir=tmp_path / "cache", models_dir=tmp_path / "models", endpoint=hub.endpoint
    )


def size_of(hub: FakeHub) -> int:
    """The bytes of the files that a download needs."""
    return sum(len(c) for n, c in hub.files.items() if n.endswith(("json", "safetensors")))


def test_a_download_brings_a_model_that_loads(hub: FakeHub, access: HubAccess) -> None:
    seen: list[DownloadProgress] = []

    folder = download(find(REPO), seen.append, access)

    assert folder == access.cache_dir / "models--someone--tiny" / "snapshots" / COMMIT
    assert load_model(folder, model_id=REPO, ops=TorchOps(), dtype="float32").vocab_size == 400
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
    }  # fmt: skip
    assert [p.num_bytes for p in seen] == sorted({p.num_bytes for p in seen})
    assert seen[-1].num_bytes == seen[-1].total_bytes == size_of(hub)
    assert seen[-1].bytes_per_second > 0


def test_the_configuration_comes_first_and_the_weights_last(
    hub: FakeHub, access: HubAccess
) -> None:
    download(find(REPO), None, access)

    names = hub.names_fetched()
    assert (names[0], names[-1]) == ("config.json", "model.safetensors")
    assert not {"README.md", "pytorch_model.bin", "flax_model.msgpack"} & set(names)


def test_what_is_here_is_not_fetched_again(hub: FakeHub, access: HubAccess) -> None:
    first = download(find(REPO), None, access)
    num_requests = len(hub.requests)

    assert local_folder(find(REPO), access) == first
    assert download(find(REPO), None, access) == first
    assert len(hub.requests) == num_requests


def test_transformers_finds_what_was_fetched(hub: FakeHub, access: HubAccess) -> None:
    folder = download(find(REPO), None, access)

    found = huggingface_hub.try_to_load_from_cache(
        REPO, "model.safetensors", cache_dir=access.cache_dir, revision="main"
    )

    assert found == str(folder / "model.safetensors")


def test_sharded_weights_are_fetched_with_all_shards(
    hub: FakeHub, access: HubAccess, tmp_path: Path, source: Path
) -> None:
    shutil.copytree(source, tmp_path / "sharded")
    shard(tmp_path / "sharded")
    hub.files = {path.name: path.read_bytes() for path in (tmp_path / "sharded").iterdir()}

    folder = download(find(REPO), None, access)

    assert len(list(folder.glob("model-0000?-of-00002.safetensors"))) == 2
    assert is_complete(folder)


class Stopped(Exception):
    """The user stopped the download."""


def stop_when(num_bytes: int, progress: DownloadProgress) -> None:
    if progress.num_bytes > num_bytes:
        raise Stopped


def test_a_stopped_download_goes_on_where_it_was(hub: FakeHub, access: HubAccess) -> None:
    hub.drop_after, hub.drops_left = 4000, 1
    weights = len(hub.files["model.safetensors"])
    before = size_of(hub) - weights
    with pytest.raises(Stopped):
        download(find(REPO), lambda progress: stop_when(before + 3000, progress), access)
    assert local_folder(find(REPO), access) is None
    hub.requests.clear()
    seen: list[DownloadProgress] = []

    folder = download(find(REPO), seen.append, access)

    _, wanted, _ = hub.requests[-1]
    assert hub.names_fetched() == ["model.safetensors"]
    assert wanted == "bytes=4000-"
    assert seen[0].num_bytes == before + 4000
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]


def test_a_line_that_keeps_breaking_still_brings_it_all(hub: FakeHub, access: HubAccess) -> None:
    hub.drop_after = 3000

    folder = download(find(REPO), None, access)

    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert len(hub.requests) > len(set(hub.names_fetched())) + 2


def test_a_server_that_cannot_resume_sends_it_all_again(hub: FakeHub, access: HubAccess) -> None:
    hub.drop_after, hub.drops_left, hub.ignores_range = 4000, 1, True
    seen: list[DownloadProgress] = []

    folder = download(find(REPO), seen.append, access)

    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert seen[-1].num_bytes == seen[-1].total_bytes


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_file_never_gets_its_name(hub: FakeHub, access: HubAccess, name: str) -> None:
    right = hub.files[name]
    hub.sent_instead[name] = right[:-1] + bytes([right[-1] ^ 1])

    with pytest.raises(ModelUnavailable, match=rf"{name} arrived damaged.*again"):
        download(find(REPO), None, access)

    assert local_folder(find(REPO), access) is None
    assert not any(path.read_bytes()[:50] == right[:50] for path in access.cache_dir.rglob("*")
                   if path.is_file())  # fmt: skip
    hub.sent_instead.clear()
    assert is_complete(download(find(REPO), None, access))


def test_a_line_without_a_single_byte_is_given_up_with_what_to_do(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.drop_after = 0
    pauses: list[float] = []
    remote = RemoteFile(
        name="model.safetensors",
        url=f"{hub.endpoint}/{REPO}/resolve/{COMMIT}/model.safetensors",
        size=len(hub.files["model.safetensors"]),
        digest="0" * 64,
    )

    with pytest.raises(ModelUnavailable, match=r"stopped at 0 of \d+ bytes.*goes on from there"):
        fetch(remote, tmp_path / "blob", {}, lambda num_bytes: None, pauses.append)

    assert len(hub.requests) == MAX_FAILURES
    assert pauses == sorted(pauses)


@pytest.mark.parametrize(
    ("refusal", "kind", "message"),
    [
        (
            (404, "RepoNotFound"),
            ModelUnavailable,
            r"has no model someone/tiny, or it is private.*HF_TOKEN",
        ),
        (
            (401, "RepoNotFound"),
            ModelUnavailable,
            r"has no model someone/tiny, or it is private.*HF_TOKEN",
        ),
        ((403, "GatedRepo"), ModelGated, r"accepted its terms.*Accept them at .*/someone/tiny"),
        ((404, "RevisionNotFound"), ModelUnavailable, r"no revision 'main'"),
        ((403, "Forbidden"), ModelUnavailable, r"answered 403.*Check HF_TOKEN"),
        ((429, "Slow down"), HubUnreachable, r"answered 429.*Try again later"),
        ((500, "Oops"), HubUnreachable, r"answered 500.*Try again later"),
        ((503, "Oops"), HubUnreachable, r"answered 503.*Try again later"),
    ],
)
def test_a_refusal_by_the_hub_says_what_to_do(
    hub: FakeHub,
    access: HubAccess,
    refusal: tuple[int, str],
    kind: type[PenstockError],
    message: str,
) -> None:
    hub.refusal = refusal

    with pytest.raises(PenstockError, match=message) as refused:
        download(find(REPO), None, access)

    assert type(refused.value) is kind


def test_a_token_that_is_not_let_in_is_told_that_its_account_is_missing(
    hub: FakeHub, access: HubAccess
) -> None:
    hub.refusal = (403, "GatedRepo")
    known = replace(access, token="hf_secret")

    with pytest.raises(ModelGated, match="with the account of your HF_TOKEN") as refused:
        download(find(REPO), None, known)

    assert "hf_secret" not in str(refused.value)


def test_a_revision_is_fetched_and_found_by_its_name(hub: FakeHub, access: HubAccess) -> None:
    hub.revision = "v1.0"

    folder = download(find(f"{REPO}@v1.0"), None, access)

    assert local_folder(find(f"{REPO}@v1.0"), access) == folder
    assert local_folder(find(f"{REPO}@{COMMIT}"), access) == folder
    assert local_folder(find(REPO), access) is None


def test_a_hub_that_cannot_be_reached_is_named_with_the_other_way(access: HubAccess) -> None:
    nowhere = HubAccess(
        cache_dir=access.cache_dir, models_dir=access.models_dir, endpoint="http://127.0.0.1:9"
    )

    with pytest.raises(HubUnreachable, match=r"127\.0\.0\.1:9 cannot be reached.*files into"):
        download(find(REPO), None, nowhere)


def test_offline_nothing_is_asked_and_the_reason_is_told(hub: FakeHub, access: HubAccess) -> None:
    offline = HubAccess(
        cache_dir=access.cache_dir, models_dir=None, endpoint=hub.endpoint, offline=True
    )

    with pytest.raises(HubUnreachable, match="HF_HUB_OFFLINE"):
        download(find("gpt2"), None, offline)

    assert hub.requests == []


def test_the_token_goes_to_the_hub(hub: FakeHub, access: HubAccess) -> None:
    known = HubAccess(
        cache_dir=access.cache_dir, models_dir=None, endpoint=hub.endpoint, token="hf_secret"
    )

    download(find(REPO), None, known)

    assert {token for _, _, token in hub.requests} == {"Bearer hf_secret"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config.json": None}, r"has no config\.json"),
        ({"model.safetensors": None}, "only as pickle files"),
        ({"model.safetensors": None, "pytorch_model.bin": None}, "in no known format"),
        ({"config.json": b'{"model_type": "vit"}'}, "models of the type 'vit'"),
        ({"config.json": b'{"model_type": "gpt2", "auto_map": {}}'}, "never runs such code"),
        ({"config.json": b"not json"}, "not valid JSON"),
    ],
)
def test_what_could_not_be_loaded_is_refused_before_its_weights_are_fetched(
    hub: FakeHub, access: HubAccess, changes: dict[str, bytes | None], message: str
) -> None:
    hub.files = {n: c for n, c in (hub.files | changes).items() if c is not None}

    with pytest.raises(UnsupportedModel, match=message):
        download(find(REPO), None, access)

    assert "model.safetensors" not in hub.names_fetched()


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    hub: FakeHub, access: HubAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(access.cache_dir.parent)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    with pytest.raises(NotEnoughDisk, match=r"needs \d+ MB more.*0 MB free.*HF_HOME"):
        download(find(REPO), None, access)

    assert hub.names_fetched() == []


def test_a_folder_that_cannot_be_written_is_named(hub: FakeHub, access: HubAccess) -> None:
    access.cache_dir.write_text("a file where the cache should be")

    with pytest.raises(ModelUnavailable, match=r"cannot be written.*HF_HOME"):
        download(find(REPO), None, access)


def test_while_another_program_fetches_the_same_its_progress_is_told_and_it_can_be_stopped(
    hub: FakeHub, access: HubAccess
) -> None:
    repository = access.repository(REPO)
    seen: list[DownloadProgress] = []

    def stop_at_the_second(progress: DownloadProgress) -> None:
        seen.append(progress)
        if len(seen) == 2:
            raise Stopped

    with locked(repository, 1), pytest.raises(Stopped):
        download(find(REPO), stop_at_the_second, access)

    assert hub.names_fetched() == []
    assert [p.total_bytes for p in seen] == [size_of(hub)] * 2
    assert is_complete(download(find(REPO), None, access))


def test_a_line_that_stands_still_can_be_stopped(hub: FakeHub, access: HubAccess) -> None:
    hub.drop_after = 0
    before = size_of(hub) - len(hub.files["model.safetensors"])
    still: list[int] = []

    def stop(progress: DownloadProgress) -> None:
        if progress.num_bytes == before:
            still.append(progress.num_bytes)
        if len(still) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        download(find(REPO), stop, access)


def test_the_rate_is_that_of_the_last_seconds_and_tells_how_long_it_takes() -> None:
    seen: list[DownloadProgress] = []
    now = 0.0
    meter = Meter(total=10_000, done=1000, progress=seen.append, clock=lambda: now)
    meter.receive("f", 0)
    assert seen[-1].seconds_left is None

    for num_bytes in [100] * 20 + [10] * 20:  # each second
        now += 1.0
        meter.receive("f", num_bytes)

    fast, slow = seen[20], seen[-1]
    assert (fast.num_bytes, fast.bytes_per_second, fast.seconds_left) == (3000, 100.0, 70.0)
    assert (slow.num_bytes, slow.bytes_per_second, slow.seconds_left) == (3200, 10.0, 680.0)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_what_was_fetched_is_removed_to_the_last_byte(hub: FakeHub, access: HubAccess) -> None:
    download(find(REPO), None, access)

    assert remove_download(find(REPO), access) >= size_of(hub)

    assert local_folder(find(REPO), access) is None
    assert not access.repository(REPO).root.exists()
    assert is_complete(download(find(REPO), None, access))


def test_what_another_revision_needs_stays(source: Path, tmp_path: Path) -> None:
    access = HubAccess(cache_dir=tmp_path, models_dir=None)
    snapshot = lay_out_as_cache(source, tmp_path, REPO)
    repository = access.repository(REPO)
    other = "f" * 40
    shutil.copytree(snapshot, repository.snapshot(other), symlinks=True)
    (repository.snapshot(other) / "config.json").unlink()
    (repository.root / "blobs" / "own").write_text('{"model_type": "gpt2"}')
    repository.link(other, "config.json", repository.root / "blobs" / "own")
    repository.remember("v2", other)

    removed = remove_download(find(REPO), access)

    assert removed == (source / "config.json").stat().st_size + len(COMMIT)
    assert local_folder(find(REPO), access) is None
    assert local_folder(find(f"{REPO}@v2"), access) == repository.snapshot(other)


def test_what_is_left_of_an_unfinished_download_is_removed(hub: FakeHub, access: HubAccess) -> None:
    with pytest.raises(Stopped):
        download(find(REPO), lambda progress: stop_when(2000, progress), access)

    assert remove_download(find(REPO), access) > 0
    assert not access.repository(REPO).root.exists()


def test_neither_the_built_in_model_nor_a_folder_of_yours_is_removed(
    source: Path, tmp_path: Path
) -> None:
    access = HubAccess(cache_dir=tmp_path / "cache", models_dir=tmp_path / "models")
    shutil.copytree(source, tmp_path / "models" / "gpt2")
    shutil.copytree(source, tmp_path / "mine")
    before = files_in(tmp_path) | files_in(builtin_folder())

    for entry, message in [
        (find("penstock-tiny"), "ships with Penstock"),
        (find("gpt2"), "was put into .*gpt2 by somebody"),
        (entry_for_folder(tmp_path / "mine"), "was put into .*mine by somebody"),
    ]:
        with pytest.raises(NotAllowed, match=message):
            remove_download(entry, access)
    with pytest.raises(ModelUnavailable, match="nothing of someone/tiny on this machine"):
        remove_download(find(REPO), access)

    assert files_in(tmp_path) | files_in(builtin_folder()) == before


def test_a_cache_that_leads_elsewhere_is_not_followed(source: Path, tmp_path: Path) -> None:
    access = HubAccess(cache_dir=tmp_path / "cache", models_dir=None)
    lay_out_as_cache(source, tmp_path / "elsewhere", REPO)
    access.cache_dir.mkdir()
    access.repository(REPO).root.symlink_to(tmp_path / "elsewhere" / "models--someone--tiny")

    with pytest.raises(ModelUnavailable, match="is a link to another place"):
        remove_download(find(REPO), access)

    assert "model.safetensors" in files_in(tmp_path / "elsewhere")


def test_what_is_being_fetched_is_not_removed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.model.hub_removal.LOCK_SECONDS", 0.1)
    access = HubAccess(cache_dir=tmp_path, models_dir=None)
    lay_out_as_cache(source, tmp_path, REPO)

    with locked(access.repository(REPO), 1), pytest.raises(ModelBusy, match="another program"):
        remove_download(find(REPO), access)

    assert local_folder(find(REPO), access) is not None


def test_a_lock_that_others_keep_is_given_up(tmp_path: Path) -> None:
    repository = HubAccess(cache_dir=tmp_path, models_dir=None).repository(REPO)

    with locked(repository, 1), pytest.raises(Locked), locked(repository, 0.05):
        pytest.fail("two hold it")


def test_a_model_put_there_by_hand_is_found(source: Path, tmp_path: Path) -> None:
    access = HubAccess(cache_dir=tmp_path, models_dir=tmp_path / "models")
    shutil.copytree(source, tmp_path / "models" / "gpt2")
    shutil.copytree(source, tmp_path / "models" / "someone--tiny")

    assert local_folder(find("gpt2"), access) == tmp_path / "models" / "gpt2"
    assert local_folder(find(REPO), access) == tmp_path / "models" / "someone--tiny"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_snapshot_that_lacks_a_file_is_not_here(source: Path, tmp_path: Path, name: str) -> None:
    snapshot = lay_out_as_cache(source, tmp_path, "openai-community/gpt2")
    access = HubAccess(cache_dir=tmp_path, models_dir=None)
    assert local_folder(find("gpt2"), access) == snapshot

    (snapshot / name).resolve().unlink()  # the link stays and leads nowhere

    assert local_folder(find("gpt2"), access) is None


@pytest.mark.parametrize("text", ["", "../../elsewhere", "main", "\u00ff", "0" * 41])
def test_a_damaged_reference_leads_nowhere(source: Path, tmp_path: Path, text: str) -> None:
    snapshot = lay_out_as_cache(source, tmp_path, "openai-community/gpt2")
    (snapshot.parent.parent / "refs" / "main").write_text(text, encoding="utf-8")

    assert local_folder(find("gpt2"), HubAccess(cache_dir=tmp_path, models_dir=None)) is None


def test_a_configured_folder_is_its_own_place(source: Path, tmp_path: Path) -> None:
    access = HubAccess(cache_dir=tmp_path, models_dir=None)
    shutil.copytree(source, tmp_path / "mine")
    entry = entry_for_folder(tmp_path / "mine")

    assert local_folder(entry, access) == download(entry, None, access) == tmp_path / "mine"


def test_a_configured_folder_that_lacks_a_file_says_which(source: Path, tmp_path: Path) -> None:
    access = HubAccess(cache_dir=tmp_path, models_dir=None)
    shutil.copytree(source, tmp_path / "mine")
    entry = entry_for_folder(tmp_path / "mine")
    (tmp_path / "mine" / "tokenizer.json").unlink()

    with pytest.raises(ModelUnavailable, match="lacks a tokenizer"):
        download(entry, None, access)


def test_the_built_in_models_folder_is_inside_the_package() -> None:
    assert builtin_folder().parts[-3:] == ("penstock", "model", "builtin")


HOME = str(Path.home())


@pytest.mark.parametrize(
    ("environ", "cache_dir"),
    [
        ({}, f"{HOME}/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HF_HOME": "/h"}, "/h/hub"),
        ({"HF_HOME": "~/h"}, f"{HOME}/h/hub"),
        ({"HF_HOME": "/h", "HF_HUB_CACHE": "/c"}, "/c"),
        ({"HF_HOME": ""}, f"{HOME}/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_hugging_faces_variables_say(
    environ: dict[str, str], cache_dir: str
) -> None:
    assert hub_access(environ).cache_dir == Path(cache_dir)


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({}, "endpoint", "https://huggingface.co"),
        ({"HF_ENDPOINT": "http://mirror/"}, "endpoint", "http://mirror"),
        ({}, "token", None),
        ({"HF_TOKEN": "a", "HUGGINGFACE_TOKEN": "b"}, "token", "a"),
        ({"HUGGINGFACE_TOKEN": "b"}, "token", "b"),
        ({}, "offline", False),
        ({"HF_HUB_OFFLINE": "1"}, "offline", True),
        ({"HF_HUB_OFFLINE": "ON"}, "offline", True),
        ({"HF_HUB_OFFLINE": "0"}, "offline", False),
        ({}, "models_dir", None),
        ({"PENSTOCK_DATA_DIR": "/d"}, "models_dir", Path("/d/models")),
    ],
)
def test_hugging_faces_variables_are_respected(
    environ: dict[str, str], name: str, value: object
) -> None:
    assert getattr(hub_access(environ), name) == value


def test_a_token_of_the_settings_wins_over_the_environment() -> None:
    assert hub_access({"HF_TOKEN": "a"}, token="b").token == "b"


def test_a_data_dir_given_wins_over_the_environment() -> None:
    environ = {"PENSTOCK_DATA_DIR": "/d"}

    assert hub_access(environ, data_dir=Path("/e")).models_dir == Path("/e/models")


def test_listing_models_imports_neither_torch_nor_the_hub() -> None:
    code = (
        "import sys; from penstock.model.hub import local_folder; "
        "from penstock.model.catalog import CATALOG; [local_folder(e) for e in CATALOG]; "
        "print([m for m in ('torch', 'transformers', 'huggingface_hub') if m in sys.modules])"
    )

    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )

    assert run.stdout.strip() == "[]"


def test_an_entry_of_the_hub_is_unknown_until_its_files_are_here() -> None:
    entry: CatalogEntry = find(REPO)

    assert (entry.family, entry.disk_bytes) == ("unknown", None)
