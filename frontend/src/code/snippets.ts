/** A request as curl, Python and command line. Knows nothing of the page that shows them. */

import type { Asked, GenerateRequest, Value } from "../wire";
import { pythonLiteral, shellWord } from "./quote";

export type Language = "curl" | "python" | "cli";

export interface Snippet {
  readonly language: Language;
  readonly label: string;
  readonly code: string;
}

export function generateSnippets(base: string, request: GenerateRequest): Snippet[] {
  return [
    { language: "curl", label: "curl", code: curl(base, "/generate", request) },
    { language: "python", label: "Python", code: python(base, "/generate", dict(request, 4), TEXT_OF_ONE) },
    { language: "cli", label: "Command line", code: cli(request) },
  ];
}

export function compareSnippets(base: string, prompt: string, columns: readonly Asked[]): Snippet[] {
  const items = columns.map((column) => `            ${dict(column, 12)},\n`).join("");
  const body = `{
        "prompt": ${pythonLiteral(prompt)},
        "columns": [
${items}        ],
    }`;
  return [
    { language: "curl", label: "curl", code: curl(base, "/compare", { prompt, columns }) },
    { language: "python", label: "Python", code: python(base, "/compare", body, TEXT_OF_MANY) },
    {
      language: "cli",
      label: "Command line",
      code: columns.map((column) => cli({ prompt, ...column })).join("\n\n"),
    },
  ];
}

function curl(base: string, path: string, body: unknown): string {
  return [
    `curl -sS ${shellWord(base + path)}`,
    "  -H 'Content-Type: application/json'",
    `  --data-raw ${shellWord(JSON.stringify(body, null, 2))}`,
  ].join(" \\\n");
}

const TEXT_OF_ONE = 'print(response.json()["generated_text"])';
const TEXT_OF_MANY = `for column in response.json()["columns"]:
    print(column.get("generated_text") or column["error"]["message"], end="\\n\\n")`;

function python(base: string, path: string, body: string, show: string): string {
  return `import requests

response = requests.post(
    ${pythonLiteral(base + path)},
    json=${body},
    timeout=600,
)
response.raise_for_status()
${show}
`;
}

function dict(fields: Readonly<Record<string, Value | undefined>>, indent: number): string {
  const pad = " ".repeat(indent);
  const lines = Object.entries(fields).map(
    ([name, value]) => `${pad}    ${pythonLiteral(name)}: ${pythonLiteral(value)},\n`,
  );
  return `{\n${lines.join("")}${pad}}`;
}

function cli(request: GenerateRequest): string {
  const { prompt, model, adapter, strategy, seed, ...settings } = request;
  const options = [
    ...(model === undefined ? [] : [`--model ${shellWord(model)}`]),
    ...(adapter === undefined ? [] : [`--adapter ${shellWord(adapter)}`]),
    ...(strategy === undefined ? [] : [`--strategy ${shellWord(strategy)}`]),
    ...Object.entries(settings).flatMap(([name, value]) => setting(name, value)),
    ...(seed === undefined ? [] : [`--seed ${seed}`]),
  ];
  const words = prompt.startsWith("-") ? `-- ${shellWord(prompt)}` : shellWord(prompt);
  return prompt.startsWith("-")
    ? ["penstock generate", ...options.map((option) => `  ${option}`), `  ${words}`].join(" \\\n")
    : [`penstock generate ${words}`, ...options.map((option) => `  ${option}`)].join(" \\\n");
}

/** A list of texts is given once per item, everything else once, if need be as JSON. */
function setting(name: string, value: Value | undefined): string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string"))
    return value.map((item) => `--set ${shellWord(`${name}=${item}`)}`);
  if (typeof value === "object") return [`--set ${shellWord(`${name}=${JSON.stringify(value)}`)}`];
  return [`--set ${shellWord(`${name}=${String(value)}`)}`];
}
