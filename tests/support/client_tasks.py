"""What known clients ask for themselves, as they write it: one task at least for each shipped fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CHAT, OPENAI, RESPONSES, ANTHROPIC = "/api/chat", "/v1/chat/completions", "/v1/responses", "/v1/messages"
SAID = "My dog is called Rex."
HISTORY = f"<chat_history>\nUSER: {SAID}\nASSISTANT: Noted.\n</chat_history>"
OUTPUT = '### Output:\nJSON format: { "title": "your concise title here" }\n'
DIALOGUE = (("user", SAID), ("assistant", "Noted."))


def a_task(opening: str, rest: str = HISTORY) -> str:
    """Return a task of Open WebUI as it writes them."""
    return f"### Task:\n{opening}\n### Guidelines:\n- Be brief.\n{OUTPUT}### Chat History:\n{rest}"


def a_body(path: str, *said: tuple[str, str], system: str = "", **more: Any) -> bytes:
    """Return a request body of the route's dialect."""
    messages = [{"role": role, "content": text} for role, text in said]
    front = [{"role": "system", "content": system}] if system else []
    match path:
        case "/v1/responses":
            tree: Mapping[str, Any] = {"instructions": system or None, "input": messages}
        case "/v1/messages":
            blocks = [
                {"type": "text", "text": "x-anthropic-billing-header: 1;"},
                {"type": "text", "text": system},
            ]
            tree = {"system": blocks if system else None, "messages": messages, "max_tokens": 8000}
        case _:
            tree = {"messages": front + messages, "stream": False}
    return json.dumps({"model": "m", **tree, **more}).encode()


# name of the fingerprint, route, the user's last words, the system text, what was said before
TASKS: list[tuple[str, str, str, str, tuple[tuple[str, str], ...]]] = [
    ("Open WebUI: title", CHAT, a_task("Generate a concise title summarizing the chat history."), "", ()),
    (
        "Open WebUI: title, before 0.6",
        CHAT,
        a_task("Generate a concise, 3-5 word title with an emoji summarizing the chat history."),
        "",
        (),
    ),
    (
        "Open WebUI: title, older",
        CHAT,
        ("Create a concise, 3-5 word title with an emoji as a title for the prompt in the given language. RESPOND ONLY "
        f"WITH THE TITLE TEXT.\n\nPrompt: {SAID}"),
        "",
        (),
    ),
    (
        "Open WebUI: title, oldest",
        CHAT,
        (f"Here is the query:\n{SAID}\n\nCreate a concise, 3-5 word "
        "phrase with an emoji as a title for the previous query."),
        "",
        (),
    ),
    (
        "Open WebUI: tags",
        CHAT,
        a_task("Generate 1-3 broad tags categorizing the main themes of the chat history, along with others."),
        "",
        (),
    ),
    (
        "Open WebUI: follow-ups, older",
        CHAT,
        a_task("Suggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next."),
        "",
        (),
    ),
    (
        "Open WebUI: follow-ups",
        CHAT,
        a_task("Predict 3-5 useful messages this user might naturally send next to advance their objective."),
        "",
        (),
    ),
    (
        "Open WebUI: search queries",
        CHAT,
        a_task("Analyze the chat history to determine the necessity of generating search queries, in the language."),
        "You are helpful.",
        (),
    ),
    (
        "Open WebUI: image prompt",
        CHAT,
        a_task("Generate a detailed prompt for am image generation task based on the given language and context."),
        "",
        (),
    ),
    (
        "Open WebUI: autocompletion",
        CHAT,
        a_task("You are an autocompletion system. Continue the text in `<text>` "
 "based on the type.", "<text>My do</text>"),
        "",
        (),
    ),
    (
        "Open WebUI: document suggestions",
        CHAT,
        a_task("Generate 3-5 insightful questions a user would naturally want to ask about the provided document."),
        "",
        (),
    ),
    (
        "Open WebUI: emoji",
        CHAT,
        ("Your task is to reflect the speaker's likely facial expression through a fitting emoji. Interpret emotions "
        f'from the message.\nMessage: "{SAID}"'),
        "",
        (),
    ),
    (
        "Open WebUI: mixture of agents",
        CHAT,
        ("You have been provided with a set of responses from various models to the latest user query: "
        f'"{SAID}"\n\nYour task is to synthesize them.'),
        "",
        (),
    ),
    (
        "Open WebUI: tools, before native calling",
        CHAT,
        f'Query: History:\nUSER: """{SAID}"""\nQuery: {SAID}',
        'Available Tools: [{"name": "weather"}]\n\nYour task is to choose and return the correct tool(s).',
        (),
    ),
    (
        "Open WebUI: memory review",
        CHAT,
        "Review the completed conversation turn and decide whether long-term memory should change.\n" + SAID,
        "You are Open WebUI's private memory reviewer. Return only valid JSON.",
        (),
    ),
    (
        "Open WebUI: compaction",
        CHAT,
        ("### Task:\nSummarize the conversation above that will be compacted out of the active chat context.\n"
        "### Guidelines:\n- Keep facts."),
        "",
        DIALOGUE,
    ),
    (
        "Open WebUI: compaction",
        CHAT,
        "### Task:\nSummarize the conversation history that will be compacted out of the active chat context.",
        "You are helpful.",
        DIALOGUE,
    ),
    ("Open WebUI: a task not listed here", OPENAI, a_task("Do what nobody has thought of."), "", ()),
    (
        "Continue: title",
        CHAT,
        ("Given the following... please reply with a title for the chat that is 3-4 words in length, all words used "
        f"should be directly related to the content of the chat.\n\n{SAID}"),
        "",
        (),
    ),
    (
        "Continue: compaction",
        CHAT,
        ("Create a comprehensive summary of this conversation that captures all essential information needed to "
        "continue the work seamlessly. Structure your summary."),
        "<important_rules>\nYou are in chat mode.\n</important_rules>",
        DIALOGUE,
    ),
    (
        "Continue: commit message",
        CHAT,
        ("diff --git a/a.py b/a.py\n+print(1)\n\nGenerate a commit message for the above set of changes. First, give a "
        "single sentence, no more than 80 characters. Then, after 2 line breaks, give a list."),
        "",
        (),
    ),
    (
        "Copilot: title",
        OPENAI,
        f"Please write a brief title for the following request:\n\n{SAID}",
        "You are an expert in crafting pithy titles for chatbot conversations. You are presented with a chat request.",
        (),
    ),
    (
        "Copilot: commit message",
        OPENAI,
        "# REPOSITORY DETAILS:\nmain\n# CODE CHANGES:\n+1",
        ("You are an AI programming assistant, helping a software developer to come with the best git commit message "
        "for their code changes."),
        (),
    ),
    (
        "Claude Code: topic",
        ANTHROPIC,
        SAID,
        ("Analyze if this message indicates a new conversation topic. If it does, extract a 2-3 word title that "
        "captures the new topic."),
        (),
    ),
    (
        "Claude Code: title of a session",
        ANTHROPIC,
        SAID,
        ("Generate a concise, sentence-case title (3-7 words) that captures the main topic or goal of this coding "
        "session."),
        (),
    ),
    (
        "Claude Code: title",
        ANTHROPIC,
        f"Please write a 5-10 word title for the following conversation:\n\nUser: {SAID}",
        "",
        (),
    ),
    (
        "Claude Code: summary of a session",
        ANTHROPIC,
        f"User: {SAID}",
        "Summarize this coding conversation in under 50 characters.\nCapture the main task.",
        (),
    ),
    ("Claude Code: warm-up", ANTHROPIC, "Warmup", "You are Claude Code.", ()),
    (
        "Claude Code: suggestion",
        ANTHROPIC,
        "[SUGGESTION MODE: Suggest what the user might naturally type next into Claude Code.]",
        "You are Claude Code.",
        DIALOGUE,
    ),
    (
        "Claude Code: compaction",
        ANTHROPIC,
        ("Your task is to create a detailed summary of the conversation so far, paying close attention to the user's "
        "explicit requests and your previous actions."),
        "You are a helpful AI assistant.",
        DIALOGUE,
    ),
    (
        "Claude Code: is the command safe",
        ANTHROPIC,
        "<policy_spec>\n# Claude Code Code Bash command prefix detection\n</policy_spec>\n\nCommand: git status",
        "",
        (),
    ),
    (
        "opencode: title",
        OPENAI,
        SAID,
        "You are a title generator. You output ONLY a thread title. Nothing else.\n\n<task>\nGenerate.\n</task>",
        (("user", "Generate a title for this conversation:\n"),),
    ),
    (
        "crush: title",
        OPENAI,
        f"Generate a concise title for the following content:\n\n{SAID}",
        "You will generate a short title based on the first message a user begins a conversation with\n\n- no quotes",
        (),
    ),
    (
        "page-assist: title",
        CHAT,
        (f"Here is the conversation:\n\n--------------\n\n{SAID}\n\n--------------\n\nCreate a concise, 3-5 word "
        "phrase as a title for the previous conversation."),
        "",
        (),
    ),
    (
        "page-assist: rephrase",
        CHAT,
        ("Given the following conversation and a follow up question, rephrase the follow up question to be a "
        f"standalone question.\n\nChat History:\n{SAID}\nFollow Up Input: How old is he?\nStandalone question:"),
        "",
        (),
    ),
    (
        "page-assist: search queries",
        CHAT,
        ("You will rephrase follow-up questions into concise, standalone search queries optimized for the internet.\n"
        f"{SAID}"),
        "",
        (),
    ),
    (
        "Roo, opencode: compaction",
        CHAT,
        "Summarize the conversation so far, as described in the prompt instructions.",
        ("You are a helpful AI assistant tasked with summarizing conversations.\n\nCRITICAL: This is a "
        "summarization-only request."),
        DIALOGUE,
    ),
    (
        "Roo: compaction",
        CHAT,
        "CRITICAL: This is a summarization-only request. DO NOT call any tools or functions.",
        "You are Roo.",
        DIALOGUE,
    ),
    (
        "Roo: better prompt",
        CHAT,
        ("Generate an enhanced version of this prompt (reply with only the enhanced prompt - no conversation, "
        f"explanations, lead-in):\n\n{SAID}"),
        "",
        (),
    ),
    (
        "aider: commit message",
        OPENAI,
        "# ChatGPT\ndiff --git a b",
        "You are an expert software engineer that generates concise, one-line Git commit messages based on the diffs.",
        (),
    ),
    (
        "aider: summary",
        OPENAI,
        f"# USER\n{SAID}\n# ASSISTANT\nNoted.",
        "*Briefly* summarize this partial conversation about programming.\nInclude less detail about older parts.",
        (),
    ),
    ("LibreChat: title", OPENAI, f"Create a concise title for this conversation:\n\nUser: {SAID}", "", ()),
    (
        "Continue: commit message",
        CHAT,
        (
            "```diff\n+1\n```\n\nGenerate a commit message for the above set of changes. First, give a single "
            "sentence, no more than 80 characters. Output nothing except for the commit message, and don't surround "
            "it in quotes."
        ),
        "",
        (),
    ),
    (
        "Claude Code: summary of a session",
        ANTHROPIC,
        f"Summarize this coding conversation in under 50 characters.\n\nUser: {SAID}",
        "",
        (),
    ),
    (
        "page-assist: search queries",
        CHAT,
        SAID,
        "You will rephrase follow-up questions into concise, standalone search queries.",
        (),
    ),
    (
        "aider: commit message",
        OPENAI,
        "You are an expert software engineer that generates concise, one-line Git commit messages.\n\ndiff --git a b",
        "",
        (),
    ),
    (
        "aider: summary",
        OPENAI,
        f"*Briefly* summarize this partial conversation about programming.\n\n# USER\n{SAID}",
        "",
        (),
    ),
    (
        "LibreChat: title",
        OPENAI,
        ("Provide a concise, 5-word-or-less title for the conversation, using title case conventions. Only return the "
        f"title itself.\n\nConversation:\nUser: {SAID}"),
        "",
        (),
    ),
    (
        "Ollama: compaction",
        CHAT,
        f"User: {SAID}",
        "Summarize the archived part of an Ollama agent conversation.",
        (),
    ),
    (
        "Codex: compaction",
        RESPONSES,
        "You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary for another LLM.",
        "You are Codex.",
        DIALOGUE,
    ),
]  # fmt: skip
