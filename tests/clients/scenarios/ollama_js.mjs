// Ollama's own client for JavaScript.
import { Ollama } from "ollama";

import * as stage from "./stage.mjs";

const { MODEL, user } = stage;

async function chat(url) {
  const client = new Ollama({ host: url });
  const messages = [{ role: "system", content: stage.SYSTEM }];
  const replies = [];
  for (const words of stage.CHAT) {
    messages.push(user(words));
    const reply = await client.chat({ model: MODEL, messages });
    messages.push(reply.message);
    replies.push([reply.message.content, reply.done_reason, reply.eval_count]);
  }
  return replies;
}

async function stream(url) {
  const heard = [];
  const asked = { model: MODEL, messages: [user(stage.STREAM)], stream: true };
  for await (const piece of await new Ollama({ host: url }).chat(asked)) {
    heard.push([piece.message.content, piece.done, piece.done_reason ?? null]);
  }
  return heard;
}

async function tools(url) {
  const client = new Ollama({ host: url });
  const messages = [user(stage.CALL)];
  const asked = await client.chat({ model: MODEL, messages, tools: [stage.WEATHER_TOOL] });
  const [call] = asked.message.tool_calls;
  messages.push(asked.message, { role: "tool", content: stage.WEATHER, tool_name: call.function.name });
  const answer = await client.chat({ model: MODEL, messages, tools: [stage.WEATHER_TOOL] });
  return [[call.function.name, call.function.arguments], answer.message.content];
}

async function structured(url) {
  const asked = { model: MODEL, messages: [user(stage.STRUCTURED)], format: stage.BICYCLE };
  return JSON.parse((await new Ollama({ host: url }).chat(asked)).message.content);
}

async function embeddings(url) {
  const client = new Ollama({ host: url });
  const both = await client.embed({ model: stage.EMBEDDER, input: stage.EMBEDDED });
  const one = await client.embeddings({ model: stage.EMBEDDER, prompt: stage.EMBEDDED[0] });
  return [both.embeddings, one.embedding];
}

async function list(url) {
  const { models } = await new Ollama({ host: url }).list();
  return models.map((model) => [model.name, model.digest, model.size]);
}

async function show(url) {
  const model = await new Ollama({ host: url }).show({ model: MODEL });
  return [model.template, model.capabilities, model.model_info];
}

async function errors(url) {
  try {
    await new Ollama({ host: url }).chat({ model: stage.UNKNOWN_MODEL, messages: [user("Hello?")] });
  } catch (error) {
    return { kind: error.name, status: error.status_code, words: error.message };
  }
}

async function cancel(url) {
  const asked = { model: MODEL, messages: [user(stage.CANCEL)], stream: true };
  const pieces = await new Ollama({ host: url }).chat(asked);
  let heard = 0;
  for await (const _piece of pieces) {
    heard += 1;
    if (heard === stage.HEARD_BEFORE_LEAVING) break;
  }
  pieces.abort();
  return heard;
}

await stage.play({ chat, stream, tools, structured, embeddings, list, show, errors, cancel });
