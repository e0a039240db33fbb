import json
import shutil
from pathlib import Path

import pytest

from engine.errors import NotReadyError, UsageError
from servers.embedded.model import TINY_KEYS, tiny_models
from servers.fit import Refusal, Request, fit
from servers.hardware import PROFILES
from servers.model import Method, ModelPreset
from servers.presets import resolve
from servers.weights import n_linear_weights, weights_bytes
from tests.cli.program import run
from tests.hub import hub

_CONFIG: dict[str, object] = {
    "model_type": "qwen2",
    "num_hidden_layers": 2,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 2048,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
}


def _checkpoint(directory: Path, config: dict[str, object] | str = _CONFIG) -> Path:
    directory.mkdir()
    text = config if isinstance(config, str) else json.dumps(config)
    (directory / "config.json").write_text(text)
    (directory / "model.safetensors").write_bytes(bytes(1000))
    return directory


def _no_hub(repo: str) -> bytes:
    raise NotReadyError(f"no hub in tests, so no {repo}")


def test_directory_is_read_from_its_config_and_its_files(tmp_path: Path) -> None:
    preset = resolve(str(_checkpoint(tmp_path / "My Tiny")))
    assert preset.key == "my-tiny"
    assert preset.architecture.head_dim == 32
    assert preset.architecture.has_qkv_bias
    assert weights_bytes(preset, preset.variants[0]) == 1000


@pytest.mark.parametrize(
    ("quantization", "method"),
    [
        ({"quant_method": "awq", "bits": 4}, Method.AWQ),
        ({"quant_method": "awq", "w_bit": 4}, Method.AWQ),
        ({"quant_method": "gptq", "bits": 4}, Method.GPTQ),
        ({"quant_method": "gptq", "bits": 8}, Method.GPTQ),
        ({"quant_method": "fp8"}, Method.FP8),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {
                        "weights": {"num_bits": 8, "type": "int"},
                        "input_activations": {"num_bits": 8},
                    }
                },
            },
            Method.W8A8,
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}},
            },
            Method.W4A16,
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "nvfp4-pack-quantized",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "float"}}},
            },
            Method.FP4,
        ),
    ],
)
def test_quantised_checkpoint_is_recognised(
    tmp_path: Path, quantization: dict[str, object], method: Method
) -> None:
    config = {**_CONFIG, "quantization_config": quantization}
    preset = resolve(str(_checkpoint(tmp_path / "q", config)))
    assert [one.method for one in preset.variants] == [method]


@pytest.mark.parametrize("groups", [{}, None, {"group_0": {"weights": None}}])
def test_checkpoint_that_quantises_its_cache_alone_has_plain_weights(groups: object) -> None:
    cache = {"kv_cache_scheme": {"num_bits": 8, "type": "float"}, "config_groups": groups}
    storage = {"quant_method": "compressed-tensors", **cache}
    preset = _of({**_CONFIG, "quantization_config": storage})
    assert [(one.precision, one.method) for one in preset.variants] == [("fp16", Method.PLAIN)]


def _grouped(size: int, kind: str = "int") -> dict[str, object]:
    group = {"weights": {"num_bits": 4, "type": kind, "group_size": size}}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}


@pytest.mark.parametrize(
    ("quantization", "bytes_per_weight"),
    [
        (_grouped(128), 0.5 + 2 / 128),
        (_grouped(32), 0.5 + 2 / 32),
        (_grouped(-1), 0.5 + 2 / 128),
        (_grouped(16, "float"), 0.5 + 1 / 16),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, 0.5 + 2.5 / 32),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, 0.5 + 2.5 / 64),
    ],
)
def test_scales_of_small_groups_count(
    quantization: dict[str, object], bytes_per_weight: float
) -> None:
    preset = _of({**_CONFIG, "quantization_config": quantization})
    n_linear = n_linear_weights(preset.architecture)
    plain_bytes = 2 * (preset.n_parameters - n_linear)
    found = weights_bytes(preset, preset.variants[0])
    assert found == round(n_linear * bytes_per_weight) + plain_bytes


def test_quantisation_by_its_old_name_is_recognised(tmp_path: Path) -> None:
    group = {"group_0": {"weights": {"num_bits": 4, "type": "int"}}}
    storage = {"quant_method": "compressed-tensors", "config_groups": group}
    config = {**_CONFIG, "compression_config": storage}
    preset = resolve(str(_checkpoint(tmp_path / "q", config)))
    assert [one.method for one in preset.variants] == [Method.W4A16]


def test_quantisation_beside_the_text_part_is_recognised(tmp_path: Path) -> None:
    storage = {"quant_method": "awq", "bits": 4}
    config: dict[str, object] = {"text_config": _CONFIG, "quantization_config": storage}
    preset = resolve(str(_checkpoint(tmp_path / "q", config)))
    assert [one.method for one in preset.variants] == [Method.AWQ]


@pytest.mark.parametrize("field", ["num_experts", "num_local_experts", "n_routed_experts"])
def test_mixture_of_experts_is_refused_with_what_to_do(field: str) -> None:
    config = json.dumps({**_CONFIG, field: 128}).encode()
    with pytest.raises(UsageError, match=rf"Their-Model: {field} is 128.*--endpoint"):
        resolve("Someone/Their-Model", fetch=lambda _: config)


def test_family_decides_whether_the_head_is_tied_where_nothing_is_said() -> None:
    config = {name: value for name, value in _CONFIG.items() if name != "tie_word_embeddings"}
    tied = {
        family: _of({**config, "model_type": family}).architecture.is_tied
        for family in ("gemma2", "gemma3_text", "qwen2", "llama", "unknown")
    }
    assert [family for family, is_tied in tied.items() if is_tied] == ["gemma2", "gemma3_text"]


def _of(config: dict[str, object]) -> ModelPreset:
    return resolve("some/model", fetch=lambda _: json.dumps(config).encode())


def test_second_copy_of_the_weights_does_not_count(tmp_path: Path) -> None:
    directory = _checkpoint(tmp_path / "m")
    (directory / "consolidated.safetensors").write_bytes(bytes(999))
    assert resolve(str(directory)).variants[0].weights_bytes == 1000


def test_weights_by_the_name_of_a_copy_count_where_there_are_no_others(tmp_path: Path) -> None:
    directory = _checkpoint(tmp_path / "m")
    (directory / "model.safetensors").rename(directory / "consolidated.safetensors")
    assert resolve(str(directory)).variants[0].weights_bytes == 1000


def test_only_the_files_of_the_index_count(tmp_path: Path) -> None:
    directory = _checkpoint(tmp_path / "m")
    (directory / "adapter.safetensors").write_bytes(bytes(999))
    index = {"weight_map": {"a": "model.safetensors", "b": "model.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    assert resolve(str(directory)).variants[0].weights_bytes == 1000


def test_file_of_the_index_that_is_missing_is_named(tmp_path: Path) -> None:
    directory = _checkpoint(tmp_path / "m")
    index = {"weight_map": {"a": "model.safetensors", "b": "other.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UsageError, match=r"other\.safetensors"):
        resolve(str(directory))


def test_unknown_quantisation_names_the_known_ones(tmp_path: Path) -> None:
    config = {**_CONFIG, "quantization_config": {"quant_method": "bitsandbytes", "bits": 4}}
    with pytest.raises(UsageError, match=r"'bitsandbytes'.*Known: AWQ"):
        resolve(str(_checkpoint(tmp_path / "q", config)))


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no directory .*nowhere.*presets"):
        resolve(str(tmp_path / "nowhere"))


def test_directory_without_config_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no config\.json.*Download"):
        resolve(str(tmp_path))


def test_directory_without_weights_says_so(tmp_path: Path) -> None:
    (_checkpoint(tmp_path / "m") / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="no weights"):
        resolve(str(tmp_path / "m"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"hidden_size": 1}', "\x00\xff"])
def test_corrupt_config_names_the_file_and_the_remedy(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"config\.json cannot be read.*Download the model again"):
        resolve(str(_checkpoint(tmp_path / "m", text)))


@pytest.mark.parametrize("value", ["many", 0, -1, None])
def test_wrong_field_is_named(tmp_path: Path, value: object) -> None:
    config = {**_CONFIG, "num_hidden_layers": value}
    with pytest.raises(UsageError, match="num_hidden_layers"):
        resolve(str(_checkpoint(tmp_path / "m", config)))


@pytest.mark.parametrize(
    ("field", "value"), [("num_key_value_heads", -1), ("head_dim", 0), ("num_attention_heads", 256)]
)
def test_number_that_no_model_has_is_named(tmp_path: Path, field: str, value: int) -> None:
    config = {**_CONFIG, field: value}
    with pytest.raises(UsageError, match=rf"config\.json.*{field}"):
        resolve(str(_checkpoint(tmp_path / "m", config)))


def test_config_without_an_end_to_its_depth_is_refused(tmp_path: Path) -> None:
    deep = f'{{"a": {"[" * 5000}{"]" * 5000}}}'
    with pytest.raises(UsageError, match=r"config\.json cannot be read"):
        resolve(str(_checkpoint(tmp_path / "m", deep)))


@pytest.mark.parametrize("name", ["~nosuchuser/x", "./" + "a" * 5000, "a" * 5000])
def test_name_that_no_path_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be read.*Check the path"):
        resolve(name)


def test_text_part_of_a_multimodal_config_counts(tmp_path: Path) -> None:
    preset = resolve(str(_checkpoint(tmp_path / "m", {"text_config": _CONFIG})))
    assert preset.architecture.n_layers == 2


def test_hub_id_is_looked_up_by_its_config() -> None:
    preset = resolve("Someone/Their-Model", fetch=lambda _: json.dumps(_CONFIG).encode())
    assert (preset.key, preset.repo) == ("their-model", "Someone/Their-Model")


async def test_hub_id_is_looked_up_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _checkpoint(tmp_path / "m")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with hub(tmp_path / "hub") as server:
        server.add("Someone/Theirs", "config.json", (tmp_path / "m" / "config.json").read_bytes())
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        done = await run("presets", "Someone/Theirs", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out)["theirs"]["repo"] == "Someone/Theirs"


async def test_hub_id_without_a_way_to_the_hub_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = await run("presets", "Someone/Theirs", cwd=tmp_path)
    assert done.code == 3
    assert "Check the name and the network" in done.err
    assert "Traceback" not in done.err


def test_gguf_file_is_described_by_its_own_header() -> None:
    file = tiny_models()[1].gguf
    preset = resolve(str(file))
    shape = resolve(str(file.parent)).architecture
    assert preset.architecture == shape
    (variant,) = preset.variants
    assert (variant.precision, variant.method) == ("fp16", Method.GGUF)
    assert variant.weights_bytes == file.stat().st_size
    assert preset.n_parameters == resolve(str(file.parent)).n_parameters


def test_directory_with_both_kinds_of_weights_has_variants_of_both() -> None:
    methods = [one.method for one in resolve(str(tiny_models()[0].directory)).variants]
    assert methods == [Method.PLAIN, Method.ONLINE_FP8, Method.GGUF]


def test_directory_with_only_a_gguf_file_is_that_file(tmp_path: Path) -> None:
    shutil.copy(tiny_models()[0].gguf, tmp_path / "some.gguf")
    preset = resolve(str(tmp_path))
    assert preset.repo == str(tmp_path / "some.gguf")


def test_damaged_gguf_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "own.gguf"
    file.write_bytes(tiny_models()[0].gguf.read_bytes()[:900])
    with pytest.raises(UsageError, match=r"own\.gguf.*cannot be read as a GGUF file"):
        resolve(str(file))


def test_models_that_ship_have_names_like_any_other() -> None:
    assert [resolve(key).key for key in TINY_KEYS] == list(TINY_KEYS)


def test_gguf_file_for_a_gpu_is_refused_with_what_to_do() -> None:
    preset = resolve(str(tiny_models()[0].gguf))
    found = fit(Request(presets=(preset,), hardware=PROFILES["colab_free_t4"]))
    assert isinstance(found, Refusal)
    assert "vLLM does not read" in found.reason


def test_missing_gguf_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.gguf"):
        resolve(str(tmp_path / "none.gguf"))


def test_toml_file_names_a_directory_and_overrides(tmp_path: Path) -> None:
    _checkpoint(tmp_path / "m")
    file = tmp_path / "mine.toml"
    file.write_text('model = "m"\nkey = "mine"\ncontext_tokens = 1024\n')
    preset = resolve(str(file))
    assert (preset.key, preset.architecture.context_tokens) == ("mine", 1024)


def test_toml_file_may_bring_variants_of_a_shipped_model(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'model = "qwen2.5-3b"\n'
        '[[variants]]\nprecision = "4bit"\nmethod = "gptq"\nrepo = "me/qwen-mine"\n'
    )
    assert [one.repo for one in resolve(str(file)).variants] == ["me/qwen-mine"]


def test_toml_file_may_describe_the_whole_model(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'model = "me/new"\n[architecture]\nn_layers = 2\nhidden = 128\nintermediate = 256\n'
        "n_heads = 4\nn_kv_heads = 2\nhead_dim = 32\nvocab = 100\nis_tied = true\n"
        "context_tokens = 512\n"
    )
    assert resolve(str(file), fetch=_no_hub).architecture.n_layers == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("model = ", "Invalid value"),
        ("key = 'x'", "model"),
        ("model = 'x/y'\nsize = 3", "size"),
        ("model = 'qwen2.5-3b'\ncontext_tokens = -5", "context_tokens"),
        (
            "model = 'x/y'\nvariants = [{precision = '8bit', method = 'awq', repo = 'me/mine'}]",
            "awq weights are never of precision '8bit'.*variants",
        ),
        ("model = 'x/y'\narchitecture = {n_layers = 0}", "n_layers"),
    ],
)
def test_wrong_toml_file_names_the_fault(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=named):
        resolve(str(file), fetch=_no_hub)


@pytest.mark.parametrize("key", ["../../esc", "a/b", "", "-x", "a" * 65])
def test_key_that_no_endpoint_may_have_is_refused(tmp_path: Path, key: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"model = 'qwen2.5-3b'\nkey = '{key}'\n")
    with pytest.raises(UsageError, match=rf"mine\.toml: key is '{key}'.*letters, digits"):
        resolve(str(file))


def test_missing_toml_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file .*mine\.toml"):
        resolve(str(tmp_path / "mine.toml"))
