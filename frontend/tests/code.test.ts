/// <reference types="node" />

import { execFileSync, spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { compareSnippets, generateSnippets, type Language, type Snippet } from "../src/code/snippets";
import type { GenerateRequest } from "../src/wire";

const BASE = "http://127.0.0.1:8000";
const HOSTILE = [
  "plain",
  "it's \"quoted\" `ls` $(ls) $HOME \\ \\n !! %s",
  "two\nlines\tand a tab",
  "--seed 7",
  "'; rm -rf / #",
  "emoji 🐻‍❄️ and \u2028 and \u007f",
  "@file",
  " leading and trailing ",
];

function code(snippets: readonly Snippet[], language: Language): string {
  return snippets.find((snippet) => snippet.language === language)!.code;
}

const STRUCTURED = { early_stopping: true, logit_bias: { "262": -100 }, sequence_bias: [["dragon's", 4.5], [[7, 8], -1]] };

function request(prompt: string): GenerateRequest {
  return { prompt, model: "penstock-tiny", strategy: "sampling", temperature: 0.8, stop: ["\n", "it's"], seed: 7 };
}

/** Lets a real shell split the command, with a function in the place of the program. */
function shellWords(command: string, program: string): string[] {
  const script = `${program}() { printf '%s\\0' "$@"; }\n${command}`;
  return execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1);
}

test.each(HOSTILE)("the shell hands curl the very request: %j", (prompt) => {
  const words = shellWords(code(generateSnippets(BASE, request(prompt)), "curl"), "curl");

  expect(words.slice(0, -1)).toEqual(["-sS", `${BASE}/generate`, "-H", "Content-Type: application/json", "--data-raw"]);
  expect(JSON.parse(words.at(-1)!)).toEqual(request(prompt));
});

test.each(HOSTILE)("the shell hands the command line the very settings: %j", (prompt) => {
  const words = shellWords(code(generateSnippets(BASE, request(prompt)), "cli"), "penstock");

  expect(words).toContain(prompt);
  expect(words.filter((_, index) => words[index - 1] === "--set")).toEqual(["temperature=0.8", "stop=\n", "stop=it's"]);
  expect(words[words.indexOf("--seed") + 1]).toBe("7");
});

test("a prompt that looks like an option is kept from being one", () => {
  const words = shellWords(code(generateSnippets(BASE, request("--seed 7")), "cli"), "penstock");

  expect(words.slice(-2)).toEqual(["--", "--seed 7"]);
});

test.each(HOSTILE)("Python builds the very request: %j", (prompt) => {
  const script = code(generateSnippets(BASE, { ...request(prompt), ...STRUCTURED }), "python");

  expect(runPython(script)).toEqual({ url: `${BASE}/generate`, json: { ...request(prompt), ...STRUCTURED } });
});

test.each(HOSTILE)("a comparison is one request in Python and in curl: %j", (prompt) => {
  const columns = [{ strategy: "greedy", seed: 1 }, { strategy: "top_k", top_k: 40, stop: [prompt] }];
  const snippets = compareSnippets(BASE, prompt, columns);

  const sent = shellWords(code(snippets, "curl"), "curl").at(-1)!;

  expect(JSON.parse(sent)).toEqual({ prompt, columns });
  expect(runPython(code(snippets, "python"))).toEqual({ url: `${BASE}/compare`, json: { prompt, columns } });
});

const STAND_IN = `
import json, sys, types
class Response:
    def raise_for_status(self): pass
    def json(self): return {"generated_text": "", "columns": []}
def post(url, json, timeout):
    sys.stderr.write(dump({"url": url, "json": json}))
    return Response()
dump = json.dumps
sys.modules["requests"] = types.SimpleNamespace(post=post)
`;

/** Runs the snippet with a stand-in for `requests` that tells what it is asked to post. */
function runPython(script: string): unknown {
  const { stderr } = spawnSync("python3", ["-c", STAND_IN + script], { encoding: "utf8" });
  return JSON.parse(stderr);
}
