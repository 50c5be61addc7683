"""What a client puts around a person's words is not what the person said; what the person said is kept whole."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.message import Attachment, Message, Role
from ltmld.wake.boilerplate import genuine, turns, words

RAG = (
    "### Task:\nRespond to the user query using the provided context, incorporating inline citations in the format "
    '[id] **only when the <source> tag includes an explicit id attribute** (e.g., <source id="1">).\n\n'
    "### Guidelines:\n- If you don't know the answer, clearly state that.\n\n"
    "### Output:\nProvide a clear and direct response to the user's query.\n\n"
    '<context>\n<source id="1" name="notes.md">Rex is a dog. </context> is a tag.</source>\n'
    '<source id="2">More.</source>\n</context>\n\n'
)
ASKED = "How old is my dog Rex?"
STATE = "<environment_details>\n# Current Time\n10:31\n</environment_details>"

WRAPPED = [
    ("Open WebUI: documents", RAG + ASKED, ASKED),
    (
        "Open WebUI: documents and a person who writes of the tag",
        RAG + "Is </context> a tag?",
        "Is </context> a tag?",
    ),
    ("Open WebUI: documents after the words, in older versions", f"{ASKED}\n{RAG}", ASKED),
    ("Open WebUI: the question twice", f"{RAG}<user_query>\n{ASKED}\n</user_query>\n\n{ASKED}", ASKED),
    ("Open WebUI: the question once, in its tags", f"{RAG}<user_query>\n{ASKED}\n</user_query>", ASKED),
    (
        "Open WebUI: documents without sources",
        f"### Task:\nRespond to the user query using the provided context.\n<context>\nfacts\n</context>\n{ASKED}",
        ASKED,
    ),
    (
        "Open WebUI: a template of one's own",
        f'<context>\n<source id="1">facts</source>\n</context>\n{ASKED}',
        ASKED,
    ),
    (
        "Open WebUI: its own memory",
        f"<memory_context>\n- the user has a dog\n</memory_context>\n\n{ASKED}",
        ASKED,
    ),
    (
        "Open WebUI: attached files",
        f'<attached_files>\n<file type="file" id="f" name="a.md"/>\n</attached_files>\n\n{ASKED}',
        ASKED,
    ),
    (
        "Roo: a first turn",
        f"<task>\n{ASKED}\n</task>\n\n<environment_details>\n# Current Time\n10:31\n</environment_details>",
        ASKED,
    ),
    (
        "Roo: feedback on what was done",
        f"[attempt_completion] Result:\n\n<feedback>\n{ASKED}\n</feedback>\n{STATE}",
        ASKED,
    ),
    (
        "Roo: feedback, introduced",
        (
            "[attempt_completion] Result:\nThe user has provided feedback on the results. Consider their input to "
            f"continue the task, and then attempt completion again.\n<feedback>\n{ASKED}\n</feedback>\n{STATE}"
        ),
        ASKED,
    ),
    (
        "Roo: an answer to a question",
        f"[ask_followup_question for 'Which\ndog?'] Result:\n\n<answer>\n{ASKED}\n</answer>\n{STATE}",
        ASKED,
    ),
    (
        "Cline: a word about a plan",
        f"[plan_mode_respond] Result:\n<user_message>\n{ASKED}\n</user_message>\n{STATE}",
        ASKED,
    ),
    (
        "Roo: a task resumed",
        (
            "[TASK RESUMPTION] This task was interrupted 5 minutes ago. It may be complete.\n\nNew instructions for "
            f"task continuation:\n<user_message>\n{ASKED}\n</user_message>\n{STATE}"
        ),
        ASKED,
    ),
    (
        "Roo: a task with a file",
        f'<task>\n{ASKED}\n</task>\n\n<file_content path="a.md">\nNo.\n</file_content>\n\n{STATE}',
        ASKED,
    ),
    ("Roo: words without a tag", f"{ASKED}\n{STATE}", ASKED),
    (
        "Claude Code: a reminder",
        f"<system-reminder>\nThe date is today.\n</system-reminder>\n\n{ASKED}",
        ASKED,
    ),
    (
        "Claude Code: words after an interruption",
        f"[Request interrupted by user for tool use]\n\n{ASKED}",
        ASKED,
    ),
    (
        "Claude Code: a command and its arguments",
        (
            "<command-message>ask</command-message>\n<command-name>/ask</command-name>\n"
            f"<command-args>{ASKED}</command-args>"
        ),
        ASKED,
    ),
    (
        "Claude Code: what is open in the editor",
        f"<ide_opened_file>The user opened a.py</ide_opened_file>\n{ASKED}",
        ASKED,
    ),
    (
        "Codex: surroundings",
        f"<environment_context>\n<cwd>/x</cwd>\n</environment_context>\n\n{ASKED}",
        ASKED,
    ),
    (
        "Copilot: everything around a request",
        (
            '<attachments>\n<attachment id="a.py">\nprint(1)\n</attachment>\n</attachments>\n<context>\nThe current '
            "date is today.\n</context>\n<editorContext>\na.py\n</editorContext>\n<reminderInstructions>\nKeep going.\n"
            f"</reminderInstructions>\n<userRequest>\n{ASKED}\n</userRequest>"
        ),
        ASKED,
    ),
    ("Continue: a file", f"```python src/main.py (1-2)\nprint(1)\n\nprint(2)\n```\n\n{ASKED}", ASKED),
    ("Continue: rules", f"<important_rules>\nBe brief.\n</important_rules>\n{ASKED}", ASKED),
    ("ltmld: a block", f"<ltmld-memory>\n- old\n</ltmld-memory>\n\n{ASKED}", ASKED),
]

# What the client says in the user's place, and nothing of the user's.
NOBODYS = [
    "<environment_details>\n# x\n</environment_details>",
    "[read_file for 'a.py'] Result:\nprint(1)\n<environment_details>\n# x\n</environment_details>",
    "[ERROR] You did not use a tool in your previous response! Please retry with a tool use.",
    "<system-reminder>Be good.</system-reminder>",
    (
        "<system-reminder>x</system-reminder>\nThis session is being continued from a previous conversation that ran "
        "out of context. The conversation is summarized below:\nThey spoke of Rex."
    ),
    (
        "Caveat: The messages below were generated by the user while running local commands. DO NOT respond to these "
        "messages or otherwise consider them in your response unless the user explicitly asks you to."
    ),
    "[Request interrupted by user]",
    "[TASK RESUMPTION] This task was interrupted 5 minutes ago. It may be complete.",
    "[execute_command for 'make\nall'] Result:\nCommand executed.",
    "[update_todo_list] Result:\n",
    "<command-name>/clear</command-name>\n<command-message>clear</command-message>\n<command-args></command-args>",
    "<local-command-stdout>Set model</local-command-stdout>",
    "# AGENTS.md instructions for /x\n\n<INSTRUCTIONS>\nBe good.\n</INSTRUCTIONS>",
    "<environment_context>\n<cwd>/x</cwd>\n</environment_context>",
    "Previous conversation summary:\n\nThey spoke of Rex.",
    "<tool_response>\n{}\n</tool_response>",
]

# What people write about such marks, or with words like theirs.
SAID = [
    "What does <system-reminder> mean?",
    "Close it with </system-reminder>, I think.",
    "<context>I live in Lisbon</context> Where do I live?",
    "<instructions>Answer in verse.</instructions>",
    "My notes have a heading ### Task:\nRespond to Anna, and to the user query of Ben.",
    "### Task:\nRespond to the user query using the provided context",
    "The conversation began so. Previous conversation summary:\nnone.",
    "I read: This session is being continued from a previous conversation. Why?",
    "```python\nprint(1)\n```\nWhat does this print?",
    "```config.yaml\na: 1\n```",
    "a < b and b > c, so a </ c",
    "[list_files in perl?]",
    "[read_file] is a tool that I wrote",
    "[read_file for 'a.py'] Result: nothing. Why?",
    "[read_file for 'a.py']\nWhat does this line mean?",
    "My log says [read_file for 'a.py'] Result:\nnone",
    "[ERROR] You did not use a tool in your previous response! That is what I got. Why?",
    "[TASK RESUMPTION] is what it prints. Why?",
    "# AGENTS.md instructions for dummies, please explain",
    "# AGENTS.md instructions for dummies\n\nPlease explain <INSTRUCTIONS>",
    "Previous conversation summary:\nI told Bob I quit",
    "This session is being continued from a previous conversation, I told you about Eve",
    "This session is being continued from a previous conversation that ran out of context. I told you about Eve.",
    "Caveat: The messages below were generated by the user. I live in Rome.",
    "[Request interrupted by user] is what it says when I press Escape.",
    "I wrote <context>hello</context> and <answer>42</answer>; which is right?",
    "<answer>42</answer>",
    "<answer>42</answer> stood before <environment_details>x</environment_details>, why?",
    "<feedback>\nI like it.\n</feedback>",
    "<task>buy milk</task>",
    "<file_content>what is this element?</file_content> in Roo?",
    "<file_content>\nmine\n</file_content>",
    "<folder_content>mine</folder_content>",
    "<user_query>who am I</user_query>",
    "<prompt>write a poem</prompt>",
    "<reminder>call mom</reminder> what does this XML mean? <userRequest>x</userRequest>",
    "Why does it write <userRequest>x</userRequest>",
    "<tool_response>my own essay on tools</tool_response>",
    "An essay.\n<tool_response>\n{}\n</tool_response>",
    "In my log stands <system-reminder>x</system-reminder> and I am Olga",
    "A page <memory_context>x</memory_context>, and <attached_files>y</attached_files>",
    "I use <important_rules>x</important_rules> and <environment_context>y</environment_context>",
    "I typed <command-args>x</command-args>, <bash-input>ls</bash-input>, <ide_selection>z</ide_selection>",
    "A <ltmld-memory>block</ltmld-memory> of mine",
    "```a.py ` b\nx\n```\nwhy?",
    "<b>bold</b> and <div>more</div>",
]


@pytest.mark.parametrize(("text", "left"), [case[1:] for case in WRAPPED], ids=[case[0] for case in WRAPPED])
def test_what_a_client_puts_around_the_words_is_cut_away(text: str, left: str) -> None:
    assert words(text) == left


@pytest.mark.parametrize("text", SAID)
def test_what_a_person_writes_about_the_marks_is_kept(text: str) -> None:
    assert words(text) is text


@pytest.mark.parametrize("text", NOBODYS)
def test_a_message_of_the_client_alone_is_nobodys_and_no_part_of_the_conversation(text: str) -> None:
    asked = Message(role=Role.USER, text=ASKED)
    assert turns([Message(role=Role.USER, text=text), asked]) == [(1, asked)]


def test_a_picture_among_the_clients_words_is_the_users() -> None:
    picture = Attachment(media="image", sha256="0" * 64, size_bytes=1)
    message = Message(role=Role.USER, text="<system-reminder>x</system-reminder>", attachments=(picture,))
    assert [turn.text for _, turn in turns([message])] == [""]


def test_an_empty_message_of_the_user_keeps_its_place() -> None:
    empty = Message(role=Role.USER, text="")
    assert turns([empty]) == [(0, empty)]


def test_thinking_that_comes_back_in_an_answer_is_not_what_was_answered() -> None:
    answer = Message(role=Role.ASSISTANT, text="<think>\nhm\n</think>\n\nRex is ten.")
    assert genuine(answer).text == "Rex is ten."
    assert genuine(replace_role(answer)).text == answer.text


def replace_role(message: Message) -> Message:
    """Return the same words, said by the user."""
    return Message(role=Role.USER, text=message.text)


_PIECES = st.sampled_from(
    [
        "<task>", "</task>", "<environment_details>", "</environment_details>", "<system-remin", "der>",
        "<system-reminder>", "</system-reminder>", "<context>", "</context>", "<userRequest>", "</userRequest>",
        "### Task:\n", "Respond to the user query using the provided context", "\n", "</source>", "<source ", " ",
        "<user_query>", "</user_query>", "<feedback>", "</feedback>", "[attempt_completion] Result:\n", "```a.py\n",
        "```", "<ltmld-memory>", "</ltmld-memory>", "<think>", "</think>", "words",
        "Previous conversation summary:\n\n",
        "[Request interrupted by user]\n", "\n<task>", "\n<userRequest>", "\n<feedback>", "<tool_response>\n",
    ]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=30).map("".join), st.sampled_from([Role.USER, Role.ASSISTANT, Role.TOOL]))
def test_words_are_never_longer_and_their_words_are_the_same(text: str, role: Role) -> None:
    left = words(text, role)
    assert len(left) <= len(text)
    assert words(left, role) is left


@given(st.text(alphabet=st.characters(exclude_characters="<`")))
def test_a_text_without_marks_is_the_same_object(text: str) -> None:
    assert words("so: " + text) == "so: " + text
    said = Message(role=Role.USER, text="so: " + text)
    assert genuine(said) is said


@pytest.mark.parametrize(
    "piece",
    [
        "<task>", "<task></task>", "<system-reminder>", "<system-reminder ", "<system-reminder>x</system-reminder>",
        "### Task:\nRespond to the user query using the provided context</context>\n", "</source>", "</source> ",
        "### Task:\nRespond to the user query using the provided context\n", "```a.py\n", "```a.py\n```\n", "<", "\n",
        "<environment_details><task>", "[attempt_completion]<feedback>", "a.", "var a=b.c;", "```",
        "<context>\n<source ",
        "\n<userRequest>", "\n</userRequest>", "[read_file for ", "# AGENTS.md instructions for ", "\n<task>\n",
        "\n</task> ", "\n```", "\n```a.b\n", "\n<abcd" + " " * 990, "</source>\n</context>\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "opening", ["", "```", "```a.b\n", "<context>\n<source >", "[read_file for '", "<task>"]
)
def test_twice_the_hostile_text_takes_twice_the_time(piece: str, opening: str) -> None:
    def took(size: int) -> float:
        text = opening + piece * (size // len(piece)) + "\n" + "x" * size + "</userRequest></task>"
        tries: list[float] = []
        for _ in range(2):
            started = process_time()
            words(text + str(len(tries)))  # what was cut before is known
            tries.append(process_time() - started)
        return min(tries)

    # Quadratic work takes sixteen times as long for four times the text; the clock counts this process only.
    assert took(160_000) < 9 * took(40_000) + 0.05


@pytest.mark.parametrize("tag", ["think", "ltmld-memory"])
def test_an_answer_that_was_stopped_in_its_thoughts_or_in_an_echo_says_what_came_before(tag: str) -> None:
    assert words(f"Rex is ten.\n\n<{tag}>\nNotes from earlier", Role.ASSISTANT) == "Rex is ten."
    assert words(f"What is <{tag}> for?") == f"What is <{tag}> for?"
