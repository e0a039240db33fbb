import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from servers.command import arguments, argv, argv_of, environment, variables
from servers.fit import ServerPlan
from servers.hardware import PROFILES
from servers.presets import PRESETS
from tests.servers.fitting import PAIR, asked, machine, plan_of

_ROOT = Path(__file__).parents[2]


def _server(profile: str = "l4_ada", model: str = "qwen2.5-7b") -> ServerPlan:
    return plan_of(asked(profile, model)).servers[0]


def _value(words: tuple[str, ...], flag: str) -> str:
    return words[words.index(flag) + 1]


def test_command_lines_are_as_in_the_golden_files() -> None:
    """Rewritten by `python scripts/golden.py --rewrite` only."""
    done = subprocess.run(
        [sys.executable, "scripts/golden.py"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_server_is_called_by_its_preset_on_loopback() -> None:
    words = argv(_server(), port=4321, program=("/opt/venv/bin/vllm",))
    assert words[:3] == ("/opt/venv/bin/vllm", "serve", "RedHatAI/Qwen2.5-7B-Instruct-FP8-dynamic")
    assert _value(words, "--served-model-name") == "qwen2.5-7b"
    assert _value(words, "--host") == "127.0.0.1"
    assert _value(words, "--port") == "4321"


def test_sampling_defaults_of_the_repository_are_not_used() -> None:
    assert _value(arguments(_server()), "--generation-config") == "vllm"


def test_t4_computes_in_half_precision() -> None:
    assert _value(arguments(_server("colab_free_t4")), "--dtype") == "half"


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("key", sorted(PRESETS))
def test_no_method_is_named_for_weights_that_are_quantised_already(profile: str, key: str) -> None:
    server = _server(profile, key)
    assert ("--quantization" in arguments(server)) == (server.method == "online-fp8")


def test_key_goes_by_the_environment_only() -> None:
    server = _server()
    assert variables(server, api_key="sk-secret")["VLLM_API_KEY"] == "sk-secret"
    assert not any("sk-secret" in word or "api-key" in word for word in argv(server))


def test_no_secret_is_inherited_but_what_opens_gated_weights() -> None:
    inherited = {"OPENAI_API_KEY": "a", "LAB_KEY": "b", "GITHUB_TOKEN": "c", "HF_TOKEN": "d"}
    given = environment(_server(), inherited=inherited, api_key="own")
    assert {"a", "b", "c"}.isdisjoint(given.values())
    assert (given["HF_TOKEN"], given["VLLM_API_KEY"]) == ("d", "own")


@pytest.mark.parametrize(
    "name",
    [
        *("GITHUB_PAT", "PGPASSWORD", "TOKEN", "LAB_APIKEY", "OPENAI_API_KEY_2", "db_pass"),
        *("API_KEYS", "MYSQL_PWD", "SSHPASS", "API_TOKENS", "GOOGLE_CREDS", "JWT", "BEARER"),
        *("DATABASE_URL", "MONGODB_URI", "SENTRY_DSN", "SLACK_WEBHOOK_URL", "SSH_AUTH_SOCK"),
    ],
)
def test_variable_that_is_called_like_a_secret_is_not_inherited(name: str) -> None:
    assert name not in environment(_server(), inherited={name: "secret"})


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "PWD", "OLDPWD", "TOKENIZERS_PARALLELISM", "VLLM_MAX_TOKENS", "KEYBOARD"),
        *("VLLM_MAX_NUM_BATCHED_TOKENS", "LAB_BYPASS", "VLLM_USE_V1", "VLLM_CACHE_ROOT"),
        *("HF_TOKEN_PATH", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HOME", "HF_ENDPOINT"),
        *("CUDA_HOME", "CUDA_MODULE_LOADING", "NCCL_DEBUG", "LD_LIBRARY_PATH", "https_proxy"),
        *("XDG_RUNTIME_DIR", "PYTORCH_CUDA_ALLOC_CONF", "VLLM_ASSETS_CACHE", "SSL_CERT_FILE"),
    ],
)
def test_variable_that_only_looks_like_a_secret_is_inherited(name: str) -> None:
    assert environment(_server(), inherited={name: "value"})[name] == "value"


def test_address_with_a_password_is_inherited_as_a_proxy_only() -> None:
    address = "http://me:secret@there.example"
    inherited = {"LAB_INDEX": address, "HTTPS_PROXY": address}
    given = environment(_server(), inherited=inherited)
    assert ("LAB_INDEX" in given, "HTTPS_PROXY" in given) == (False, True)


def test_variables_that_would_mislead_vllm_are_not_inherited() -> None:
    inherited = {"PATH": "/bin", "VLLM_PORT": "1", "VLLM_API_KEY": "old", "VLLM_CACHE_ROOT": "/c"}
    given = environment(_server(), inherited=inherited)
    assert "VLLM_PORT" not in given
    assert "VLLM_API_KEY" not in given
    assert given["PATH"] == "/bin"
    assert given["VLLM_CACHE_ROOT"] == "/c"


def test_server_sees_its_own_cards_only() -> None:
    seven, three = plan_of(asked(machine(24, 24), *PAIR)).servers
    assert variables(seven)["CUDA_VISIBLE_DEVICES"] == str(seven.gpus[0])
    assert variables(seven)["CUDA_VISIBLE_DEVICES"] != variables(three)["CUDA_VISIBLE_DEVICES"]


def test_neighbours_get_both_a_share_and_a_size() -> None:
    """One of the two is not enough: serving-gpu.md fact 7."""
    for server in plan_of(asked("colab_free_t4", *PAIR)).servers:
        words = arguments(server)
        assert float(_value(words, "--gpu-memory-utilization")) < 0.6
        assert int(_value(words, "--kv-cache-memory-bytes")) == server.kv_bytes


def test_split_model_names_the_number_of_cards() -> None:
    server = plan_of(asked(machine(23.5, 23.5), "qwen2.5-14b", precision="fp16")).servers[0]
    assert _value(arguments(server), "--tensor-parallel-size") == "2"
    assert variables(server)["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_split_model_pins_the_cache_of_each_card() -> None:
    hardware = machine(23.5, 23.5, others_gib=1)
    server = plan_of(asked(hardware, "qwen2.5-14b", precision="fp16")).servers[0]
    pinned = int(_value(arguments(server), "--kv-cache-memory-bytes"))
    assert pinned * 2 == server.kv_bytes


def test_sleeping_server_has_the_mode_and_the_endpoints_for_it() -> None:
    server = replace(_server(), has_sleep=True)
    assert "--enable-sleep-mode" in arguments(server)
    assert variables(server)["VLLM_SERVER_DEV_MODE"] == "1"


def test_fp8_kv_cache_is_named() -> None:
    server = plan_of(asked("l4_ada", "qwen2.5-7b", has_fp8_kv=True)).servers[0]
    assert _value(arguments(server), "--kv-cache-dtype") == "fp8"


def test_cpu_build_does_not_cut_prompts_in_chunks() -> None:
    server = _server("cpu", "llama-3.2-3b")
    words = arguments(server)
    assert "--no-enable-chunked-prefill" in words
    assert "--enforce-eager" in words
    assert int(_value(words, "--max-num-batched-tokens")) >= server.max_model_len
    assert variables(server)["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"


def test_llama_cpp_gets_its_own_words() -> None:
    words = argv(_server("cpu", "qwen2.5-3b"))
    assert words[:3] == ("python", "-m", "servers.embedded.serve")
    assert _value(words, "--name") == "qwen2.5-3b"


def test_servers_of_a_plan_get_ports_that_differ() -> None:
    lines = argv_of(plan_of(asked("l4_ada", *PAIR)), first_port=9000)
    assert [_value(line, "--port") for line in lines] == ["9000", "9001"]


def test_address_is_left_to_a_launcher_that_gives_none() -> None:
    assert "--port" not in argv(_server())
    assert "--host" not in argv(_server())
