// What every scenario says, as in stage.py, and how it tells what it heard: one JSON line a feature, and a wait
// for the next cue.
import { createInterface } from "node:readline";

export const MODEL = "stand-in:latest";
export const EMBEDDER = "stand-in-embed:latest";
export const UNKNOWN_MODEL = "nobody-has-this";
export const SYSTEM = "You answer in one sentence.";
export const CHAT = ["My canoe is painted green.", "And the paddle, what is it made of?"];
export const STREAM = "Whales hum at midnight, says Nora.";
export const CALL = "Please use get_weather for Lisbon.";
export const STRUCTURED = "Describe one bicycle as data.";
export const CANCEL = "Count every grain of sand aloud.";
export const EMBEDDED = ["apples and pears", "thunder over the lake"];
export const WEATHER = "22 degrees and sunny";
export const HEARD_BEFORE_LEAVING = 3;
export const BICYCLE = {
  type: "object",
  properties: { color: { type: "string" }, gears: { type: "integer" }, old: { type: "boolean" } },
  required: ["color", "gears", "old"],
};
export const WEATHER_TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Say how the weather is.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

export const user = (content) => ({ role: "user", content });

// Plays every feature, each to its end; a text in the place of a feature says why there is none.
export async function play(features) {
  const url = process.argv[2];
  const lines = createInterface({ input: process.stdin });
  const cues = lines[Symbol.asyncIterator]();
  for (const [feature, play] of Object.entries(features)) {
    const told = typeof play === "string" ? { absent: play } : { outcome: await play(url) };
    process.stdout.write(JSON.stringify({ feature, ...told }) + "\n");
    if ((await cues.next()).done) break;
  }
  lines.close();
}
