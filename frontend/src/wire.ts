/** What the server says and is told, as types. Knows nothing of the page that uses them. */

export type Json = number | boolean | string | null | readonly Json[] | { readonly [name: string]: Json };
export type Value = Json;
export type Values = Readonly<Record<string, Value>>;

export type ParameterType =
  | "float"
  | "int"
  | "bool"
  | "choice"
  | "strings"
  | "seed"
  | "names"
  | "tokens"
  | "words"
  | "alternatives"
  | "token_biases"
  | "word_biases"
  | "layers"
  | "start_and_factor"
  | "text"
  | "prompt"
  | "texts"
  | "json";

export interface Choice {
  readonly value: string;
  readonly label: string;
}

export interface Parameter {
  readonly name: string;
  readonly label: string;
  readonly type: ParameterType;
  readonly minimum?: number | null;
  readonly maximum?: number | null;
  readonly offered_minimum?: number | null;
  readonly offered_maximum?: number | null;
  readonly step?: number | null;
  readonly scale?: "linear" | "log" | null;
  readonly default: Value;
  readonly neutral?: Value;
  readonly nullable?: boolean;
  readonly group: "main" | "more" | "advanced";
  /** The heading that it stands under, among the advanced. */
  readonly section?: string | null;
  readonly unit?: string | null;
  readonly description: string;
  readonly effect?: string | null;
  readonly choices?: readonly Choice[];
}

export interface Strategy {
  readonly id: string;
  readonly label: string;
  readonly type: string;
  readonly description: string;
  readonly color: string;
  readonly parameters: readonly Parameter[];
  /** Absent from servers before there were any. */
  readonly presets?: readonly Preset[];
}

/** Settings that go well together; whatever it does not name keeps the strategy's default. */
export interface Preset {
  readonly id: string;
  readonly label: string;
  readonly description: string;
  readonly values: Values;
}

export interface StrategyCatalog {
  readonly strategies: readonly Strategy[];
  readonly default: string;
}

export type ModelState = "available" | "downloading" | "loading" | "loaded" | "unloading" | "failed";

export interface Model {
  readonly id: string;
  readonly label: string;
  readonly family: string;
  readonly description: string;
  readonly num_parameters: number | null;
  readonly context_length: number | null;
  readonly dtype: string | null;
  readonly state: ModelState;
  readonly error: string | null;
  readonly hub_id: string | null;
  readonly aliases: readonly string[];
  readonly builtin: boolean;
  readonly disk_bytes: number | null;
  readonly memory_bytes: number | null;
  readonly licence: string | null;
  readonly local: boolean;
}

export interface ModelCatalog {
  readonly default: string;
  readonly models: readonly Model[];
}

export interface Adapter {
  readonly name: string;
  /** Why it cannot be used. */
  readonly error: string | null;
  /** The models it was trained for; `null` when its files do not tell. */
  readonly models: readonly string[] | null;
}

export interface AdapterCatalog {
  readonly adapters: readonly Adapter[];
}

/** Parameters travel beside these, under their own names. */
export interface GenerateRequest {
  readonly prompt: string;
  readonly model?: string;
  readonly adapter?: string;
  readonly strategy?: string;
  readonly seed?: number;
  readonly stream?: boolean;
  readonly [parameter: string]: Value | undefined;
}

/** A request but for its prompt: how to write, not what to continue. */
export type Asked = Omit<GenerateRequest, "prompt">;

export interface CompareRequest {
  readonly prompt: string;
  readonly columns: readonly Asked[];
  readonly metrics?: boolean;
  readonly stream: boolean;
}

export type FinishReason = "stop" | "length" | "time" | "cancelled";

/** A text ends in a loop; `settings` are the fields of a request that would help. */
export interface Loop {
  /** How many tokens were written before it. */
  readonly start: number;
  readonly period: number;
  readonly advice: string;
  readonly settings: Values;
}

/** Figures of one text; `null` where there is nothing to count. */
export interface TextMetrics {
  readonly perplexity: number | null;
  /** Which share of its runs of four words had occurred before. */
  readonly repetition: number | null;
}

export interface SequenceResult {
  readonly text: string;
  readonly finish_reason: FinishReason;
  readonly tokens: number;
  readonly score: number | null;
  readonly loop?: Loop;
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

export interface Timings {
  readonly queue_ms: number;
  readonly prompt_ms: number;
  readonly first_token_ms: number;
  readonly generation_ms: number;
  readonly tokens_per_second: number;
}

export interface GenerateResponse {
  readonly id: string;
  readonly generated_text: string;
  readonly prompt: string;
  readonly rendered_prompt: string;
  readonly model: string;
  readonly strategy: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly unused_parameters: readonly string[];
  readonly seed: number;
  readonly sequences: readonly SequenceResult[];
  readonly usage: Usage;
  readonly timings: Timings;
  readonly receipt: string;
}

export interface WireError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** Others are served first; comes again whenever the place changes. */
export interface WaitingEvent {
  readonly event: "waiting";
  readonly column?: number;
  /** 1 is the next. */
  readonly position: number;
  readonly estimated_seconds: number | null;
}

export interface StartEvent {
  readonly event: "start";
  readonly column?: number;
  readonly id: string;
  readonly model: string;
  readonly strategy: string;
  readonly unused_parameters: readonly string[];
  readonly seed: number;
  readonly usage: { readonly prompt_tokens: number };
  readonly num_sequences: number;
  /** False where the model answers the prompt in a text of its own, as encoder-decoders do. */
  readonly continues_prompt?: boolean;
}

export interface TokenLogprob {
  readonly token: string;
  readonly token_id: number;
  /** Natural logarithm of the model's own probability, before temperature and filters. */
  readonly logprob: number;
}

export interface ChosenToken extends TokenLogprob {
  /** The most probable tokens at this place, the best first. */
  readonly top: readonly TokenLogprob[];
}

export interface TokenEvent {
  readonly event: "token";
  readonly column?: number;
  readonly index: number;
  readonly text: string;
  readonly token_ids: readonly number[];
  /** When they were asked for, one for each token. */
  readonly logprobs?: readonly ChosenToken[];
}

/** The next token's distribution after one step of the chain; the first stage, `model`, comes before any step. */
export interface Stage {
  readonly name: string;
  readonly num_kept: number;
  /** What the probability of those kept was before this step. */
  readonly mass_kept: number;
  readonly entropy_bits: number;
  readonly top: readonly TokenLogprob[];
}

export interface NextToken {
  readonly chosen: TokenLogprob | null;
  readonly stages: readonly Stage[];
}

export interface FinishEvent {
  readonly event: "finish";
  readonly column?: number;
  readonly index: number;
  readonly finish_reason: FinishReason;
  readonly tokens: number;
  readonly score: number | null;
  readonly text: string;
  readonly loop?: Loop;
  /** Places of the forced words that the text lacks. */
  readonly missing_words?: readonly number[];
}

export interface DoneEvent extends GenerateResponse {
  readonly event: "done";
  /** Nothing was written: the server had the answer to the same request. */
  readonly cached?: boolean;
  readonly column?: number;
}

/** One column of a comparison failed; the others go on. */
export interface ErrorEvent {
  readonly event: "error";
  readonly column: number;
  readonly error: WireError;
}

/** A column's texts were measured, after it was done. */
export interface MetricsEvent {
  readonly event: "metrics";
  readonly column: number;
  readonly texts: readonly TextMetrics[];
}

/** What texts with different seeds have in common; the last of a comparison's events. */
export interface GroupsEvent {
  readonly event: "groups";
  readonly column?: undefined;
}

export interface TreeNode {
  readonly node: number;
  /** 0 is the prompt. */
  readonly parent: number;
  readonly token: string;
  readonly token_id: number;
  readonly score: number;
  readonly group: number;
  readonly finish_reason: FinishReason | null;
}

/** What one step did to the tree of beams, where that was asked for. */
export interface TreeEvent {
  readonly event: "tree";
  readonly column?: number;
  readonly step: number;
  readonly expand: readonly TreeNode[];
  readonly prune: readonly number[];
  readonly finish: readonly TreeNode[];
  readonly returned: readonly number[];
}

export type StreamEvent =
  | WaitingEvent
  | TreeEvent
  | StartEvent
  | TokenEvent
  | FinishEvent
  | DoneEvent
  | ErrorEvent
  | MetricsEvent
  | GroupsEvent;

export type Scope = "generate" | "files" | "account" | "models" | "users";

export interface Me {
  readonly id: string;
  readonly username: string;
  readonly role: "user" | "admin";
  readonly must_change_password: boolean;
  readonly scopes: readonly Scope[];
}

export interface Session {
  /** `local`: nobody need sign in; `required`: nothing works before. */
  readonly access: "off" | "local" | "required";
  readonly registration: "open" | "approval" | "closed";
  readonly has_admin: boolean;
  readonly user: Me | null;
}

export interface NewAccount {
  readonly username: string;
  readonly password: string;
}

export interface ApiKey {
  readonly id: string;
  readonly label: string;
  /** How it begins. */
  readonly hint: string;
  readonly scopes: readonly Scope[];
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly used_at: string | null;
}

/** What somebody used, by day. */
export interface UsageReport {
  readonly first_day: string;
  readonly last_day: string;
  readonly usage: readonly UsageOfDay[];
}

export interface UsageOfDay {
  readonly day: string | null;
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

/** A request and what was generated for it. */
export interface Kept {
  readonly id: string;
  readonly created_at: string;
  readonly model: string;
  readonly outcome: "completed" | "cached" | "cancelled" | "failed";
  /** What the model saw; token ids as a JSON list. */
  readonly prompt: string;
  readonly texts: readonly string[];
  readonly parameters: {
    readonly strategy: string;
    readonly params: Values;
    readonly max_new_tokens?: number;
    readonly min_new_tokens?: number;
    readonly num_sequences?: number;
    readonly stop?: readonly string[];
    readonly seed?: number;
    readonly adapter?: string;
  };
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

export interface HistoryPage {
  readonly entries: readonly Kept[];
  readonly has_more: boolean;
}

/** How one limit stands. */
export interface LimitLeft {
  readonly whose: "account" | "key";
  readonly limit: string;
  readonly most: number;
  readonly left: number;
  readonly resets_at: string | null;
  /** The same as a sentence. */
  readonly words: string;
}

export interface NewApiKey extends ApiKey {
  readonly key: string;
}
