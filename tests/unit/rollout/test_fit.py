"""`hostler fit`: what is asked about, and where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hostler.errors import StackFileError, UsageError
from hostler.hosts.types import Host, Seen
from hostler.rollout import fit as fitting
from unit.models import headers
from worlds import configure_world as world


@pytest.fixture
def model(tmp_path: Path) -> Path:
    data, size = headers.made("llama-3-8b")
    path = tmp_path / "llama.gguf"
    path.write_bytes(data)
    with path.open("r+b") as file:
        file.truncate(size)
    return path


def seen(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, Seen]) -> list[str]:
    asked: list[str] = []

    def look(hosts: tuple[Host, ...], *_: Any, **__: Any) -> Mapping[str, Seen]:
        asked.extend(host.name for host in hosts)
        return {host.name: answers[host.name] for host in hosts}

    monkeypatch.setattr(fitting, "look", look)
    return asked


def text(model: Path) -> str:
    return world.STACK.replace('"hf:acme/tiny:Q4_1"', str(model))


def test_cards_need_no_host(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = seen(monkeypatch, {})
    answer = fitting.answer(str(model), cards=("RTX 3090*2",), file=world.stack(text(model)))
    assert [(row.kind, row.cards, row.context) for row in answer.fit.works] == [("RTX 3090", 1, 8192)]
    assert (answer.subject.source, asked) == (str(model), [])


def test_hosts_of_the_stack_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = seen(monkeypatch, {"gpu-1": world.bare(1), "gpu-2": world.dead(2)})
    answer = fitting.answer("chat", file=world.stack(text(model)))
    assert asked == ["gpu-1", "gpu-2"]
    assert {row.where for row in answer.fit.works} == {"gpu-1"}
    assert [row.where for row in answer.fit.fails] == ["gpu-2"]
    assert answer.subject.name == "chat"


def test_the_table_where_no_host_answers(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, {"gpu-1": world.dead(1), "gpu-2": world.dead(2)})
    answer = fitting.answer("chat", file=world.stack(text(model)))
    assert "RTX 3090" in {row.kind for row in answer.fit.works}
    assert {row.where for row in answer.fit.fails} >= {"gpu-1", "gpu-2"}
    assert answer.notes == ("no host answers: common cards instead",)


def test_the_table_where_there_is_no_stack_file(model: Path) -> None:
    answer = fitting.answer(str(model))
    assert "A10G" in {row.kind for row in answer.fit.works}
    assert answer.notes == ("no stack file: common cards instead",)


def test_a_pool_of_the_stack_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.stack(text(model))
    asked = seen(monkeypatch, {"gpu-1": world.bare(1), "gpu-2": world.bare(2)})
    fitting.answer("chat", file=file, pool="rack")
    assert asked == ["gpu-1", "gpu-2"]
    with pytest.raises(UsageError, match="rack"):
        fitting.answer("chat", file=file, pool="rcak")


def test_a_name_that_the_stack_file_does_not_have(model: Path) -> None:
    with pytest.raises(UsageError) as error:
        fitting.answer("chta", file=world.stack(text(model)))
    assert "chat" in error.value.problems[0].next_step


@pytest.mark.parametrize(("word", "error"), [("hf:nonsense", StackFileError), ("/srv/none.gguf", UsageError)])
def test_a_source_that_is_none(word: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        fitting.answer(word, cards=("RTX 3090",))


def test_what_is_estimated_says_so(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"PK" + b"\0" * 5000)
    answer = fitting.answer(str(tmp_path / "m.gguf"), cards=("RTX 3090",))
    assert "estimated from the file's size" in answer.notes[0]


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"num_attention_heads": 8, "num_hidden_layers": 2, "hidden_size": 64, "max_position_embeddings": 2048}'
    )
    (tmp_path / "model.safetensors").write_bytes(b"1" * 1000)
    answer = fitting.answer(str(tmp_path), cards=("RTX 3090",))
    assert [row.engine for row in answer.fit.works] == ["vllm"]
    assert answer.notes == ()


def test_slots_of_the_stack_file(model: Path) -> None:
    file = world.stack(text(model).replace("replicas: 2", "slots: 3"))
    answer = fitting.answer("chat", file=file, cards=("RTX 3090",))
    assert answer.subject.slots == 3
    assert answer.notes == ("each of 3 slots has the whole context",)


def test_types_of_a_rented_pool_need_no_host(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = seen(monkeypatch, {})
    rents = "pools: {burst: {aws: {regions: eu-central-1, instances: [g5.xlarge, t3.micro, g9.huge]}}}\n"
    file = world.stack(f"{rents}models: {{chat: {model}}}\n")
    answer = fitting.answer("chat", file=file)
    assert asked == []
    assert [(row.where, row.kind) for row in answer.fit.works] == [("g5.xlarge", "A10G")]
    assert "g5.xlarge" in answer.notes[-1]
    assert "common cards" not in " ".join(answer.notes)
