/** The engine as a module of its own: what the page, its worker and the tests share. */
export * from "./text/characters";
export * from "./text/form";
export * from "./text/graphemes";
export * from "./text/typing_rules";
export * from "./keyboard/events";
export * from "./keyboard/editor";
export * from "./network/backend";
export * from "./network/tokenizer";
export * from "./network/ort_backend";
export * from "./network/choose";
export * from "./decoding/best";
export * from "./decoding/context";
export * from "./decoding/pieces";
export * from "./decoding/search";
export * from "./decoding/inline";
export * from "./decoding/predictor";
export * from "./words/lexicon";
