// Vercel's AI SDK with the provider ollama-ai-provider-v2.
import { embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { createOllama } from "ollama-ai-provider-v2";

import * as stage from "./stage.mjs";

const { MODEL, user } = stage;
const NOT_HERE = "the SDK has no call for it";

const provider = (url) => createOllama({ baseURL: `${url}/api` });

async function chat(url) {
  const messages = [];
  const replies = [];
  for (const words of stage.CHAT) {
    messages.push(user(words));
    const reply = await generateText({ model: provider(url)(MODEL), system: stage.SYSTEM, messages });
    messages.push(...reply.response.messages);
    replies.push([reply.text, reply.finishReason, reply.usage.outputTokens]);
  }
  return replies;
}

async function stream(url) {
  const heard = [];
  const answer = streamText({ model: provider(url)(MODEL), messages: [user(stage.STREAM)] });
  for await (const piece of answer.textStream) heard.push(piece);
  return [heard, await answer.finishReason];
}

async function tools(url) {
  const calls = [];
  const get_weather = tool({
    description: "Say how the weather is.",
    inputSchema: jsonSchema(stage.WEATHER_TOOL.function.parameters),
    execute: async (given) => {
      calls.push(given);
      return stage.WEATHER;
    },
  });
  const answer = await generateText({
    model: provider(url)(MODEL),
    messages: [user(stage.CALL)],
    tools: { get_weather },
    stopWhen: stepCountIs(3),
  });
  return [calls, answer.text, answer.steps.map((step) => step.finishReason)];
}

async function structured(url) {
  const answer = await generateText({
    model: provider(url)(MODEL),
    messages: [user(stage.STRUCTURED)],
    output: Output.object({ schema: jsonSchema(stage.BICYCLE) }),
  });
  return answer.output;
}

async function embeddings(url) {
  const asked = { model: provider(url).embeddingModel(stage.EMBEDDER), values: stage.EMBEDDED };
  return (await embedMany(asked)).embeddings;
}

async function errors(url) {
  try {
    const model = provider(url)(stage.UNKNOWN_MODEL);
    await generateText({ model, messages: [user("Hello?")], maxRetries: 0 });
  } catch (error) {
    return { kind: error.name, status: error.statusCode, words: error.message };
  }
}

async function cancel(url) {
  const leave = new AbortController();
  const answer = streamText({
    model: provider(url)(MODEL),
    messages: [user(stage.CANCEL)],
    abortSignal: leave.signal,
  });
  let heard = 0;
  for await (const _piece of answer.textStream) {
    heard += 1;
    if (heard === stage.HEARD_BEFORE_LEAVING) break;
  }
  leave.abort();
  return heard;
}

await stage.play({
  chat,
  stream,
  tools,
  structured,
  embeddings,
  list: NOT_HERE,
  show: NOT_HERE,
  errors,
  cancel,
});
