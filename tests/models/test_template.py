"""Whether a system text is read is told by the template that the model was made with."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest

from ltmld.models.template import reads_system

CHATML = (
    "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
)
LLAMA = "{{- if .System }}<<SYS>>{{ .System }}<</SYS>>{{ end }}{{ .Prompt }}"
GEMMA = (
    '{{- range $index, $_ := .Messages }}<start_of_turn>\n{{- if eq .Role "user" }}user\n'
    "{{- if and $.System (eq $index 0) }}\n{{ $.System }}\n{{- end }}{{ end }}{{ .Content }}{{ end }}"
)  # fmt: skip
GEMMA3 = (
    '{{- $system := .System }}\n{{- range $i, $_ := .Messages }}\n{{- if eq .Role "user" }}<start_of_turn>user\n'
    "{{- if and (eq $i 1) $system }}\n{{ $system }}\n{{- end }}\n{{ .Content }}<end_of_turn>\n{{ end }}{{ end }}"
)  # fmt: skip
DEAF = '{{ range .Messages }}{{ if eq .Role "user" }}U: {{ .Content }}{{ else if eq .Role "assistant" }}A: {{ .Content }}{{ end }}{{ end }}'  # noqa: E501 - as it is
LISTED = '{{ range .Messages }}{{ if or (eq .Role "user") (eq .Role "system") }}U: {{ .Content }}{{ end }}{{ end }}'
JINJA = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}{% endfor %}"
JINJA_GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
)
JINJA_STRICT = (
    "{% if message.role == 'system' and not loop.first %}{{ raise_exception('System message must be at the "
    "beginning.') }}{% endif %}"
)


@pytest.mark.parametrize(
    ("shown", "reads"),
    [
        ({}, True),
        ({"template": ""}, True),
        ({"template": 3, "model_info": 4}, True),
        ({"template": CHATML}, True),
        ({"template": LLAMA}, True),
        ({"template": GEMMA}, True),
        ({"template": LISTED}, True),
        ({"template": GEMMA3}, False),
        ({"template": DEAF}, False),
        ({"template": "{{ .Prompt }}"}, False),
        ({"template": "### Instruction:\n{{ .Prompt }}\n### Response:\n"}, False),
        ({"template": "{{ .Prompt }}", "renderer": "qwen3.5"}, True),
        ({"template": "{{ .Prompt }}", "model_info": {"tokenizer.chat_template": JINJA}}, True),
        ({"template": "", "model_info": {"tokenizer.chat_template": JINJA_STRICT}}, True),
        ({"template": "{{ .Prompt }}", "model_info": {"tokenizer.chat_template": JINJA_GEMMA}}, False),
        ({"template": "", "model_info": {"tokenizer.chat_template": "{{ messages[0]['content'] }}"}}, False),
    ],
)
def test_a_template_tells_whether_the_system_text_is_read(shown: dict[str, Any], *, reads: bool) -> None:
    assert reads_system(shown) is reads


@pytest.mark.parametrize("piece", ["if ", "if eq $i 1 ", "if .System ", "{{ .Role ", "{{ role ", "{{"])
def test_a_hostile_template_takes_as_long_as_its_length(piece: str) -> None:
    started = perf_counter()
    reads_system({"template": piece * 100_000 + ".Messages"})
    reads_system({"model_info": {"tokenizer.chat_template": piece * 100_000}})
    assert perf_counter() - started < 3.0
