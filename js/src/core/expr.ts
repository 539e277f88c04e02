// A small expression language over axis names with Python's meaning: + - * / // % ** and a few functions.
// No access to anything but the names given: nothing is evaluated as JavaScript.
import { format } from "d3-format";
import { mod } from "./modp";

export type Env = Record<string, number>;
export type Expr = (env: Env) => number;

const FUNCTIONS: Record<string, (...args: number[]) => number> = {
  abs: Math.abs,
  min: Math.min,
  max: Math.max,
  floor: Math.floor,
  ceil: Math.ceil,
  round: (v) => {
    const low = Math.floor(v);
    return v - low === 0.5 ? low + mod(low, 2) : Math.round(v);
  },
};

const TOKEN = /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\*\*|\/\/|[-+*/%(),]))/y;

function tokens(text: string): string[] {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  const source = text.trimEnd();
  while (TOKEN.lastIndex < source.length) {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (!match) throw new Error(`"${text}": cannot read "${source.slice(start).trim()}"`);
    found.push(match[1] ?? match[2] ?? match[3]);
  }
  return found;
}

const LEVELS: string[][] = [
  ["+", "-"],
  ["*", "/", "//", "%"],
];

const APPLY: Record<string, (a: number, b: number) => number> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "//": (a, b) => Math.floor(a / b),
  "%": mod,
  "**": (a, b) => a ** b,
};

/** Reads an expression such as "(c - a) % p"; throws an Error that says what could not be read. */
export function parse(text: string): Expr {
  const list = tokens(text);
  let at = 0;
  const expected = (what: string) =>
    new Error(`"${text}": expected ${what}${at < list.length ? `, got "${list[at]}"` : " at the end"}`);

  const binary = (level: number): Expr => {
    if (level === LEVELS.length) return unary();
    let left = binary(level + 1);
    while (LEVELS[level].includes(list[at])) {
      const apply = APPLY[list[at++]];
      const [a, b] = [left, binary(level + 1)];
      left = (env) => apply(a(env), b(env));
    }
    return left;
  };
  const unary = (): Expr => {
    if (list[at] === "-" || list[at] === "+") {
      const sign = list[at++] === "-" ? -1 : 1;
      const value = unary();
      return (env) => sign * value(env);
    }
    const base = atom();
    if (list[at] !== "**") return base;
    at++;
    const exponent = unary();
    return (env) => base(env) ** exponent(env);
  };
  const atom = (): Expr => {
    const token = list[at];
    if (token === undefined) throw expected("a number or a name");
    at++;
    if (/^[\d.]/.test(token)) return () => Number(token);
    if (token === "(") {
      const inner = binary(0);
      if (list[at++] !== ")") throw (at--, expected('")"'));
      return inner;
    }
    if (!/^[A-Za-z_]/.test(token)) throw (at--, expected("a number or a name"));
    return list[at] === "(" ? call(token) : name(token);
  };
  const name = (token: string): Expr => (env) => {
    if (!Object.hasOwn(env, token)) {
      throw new Error(`"${text}": unknown name ${token}; there are ${Object.keys(env).join(", ")}`);
    }
    return env[token];
  };
  const call = (token: string): Expr => {
    if (!Object.hasOwn(FUNCTIONS, token)) {
      throw new Error(`"${text}": unknown function ${token}; there are ${Object.keys(FUNCTIONS).join(", ")}`);
    }
    at++;
    const args = [binary(0)];
    while (list[at] === ",") {
      at++;
      args.push(binary(0));
    }
    if (list[at++] !== ")") throw (at--, expected('")"'));
    return (env) => FUNCTIONS[token](...args.map((arg) => arg(env)));
  };

  const result = binary(0);
  if (at < list.length) throw expected("an operator");
  return result;
}

const PART = /\{\{|\}\}|\{([^{}:]+)(?::([^{}]*))?\}/g;

/** Fills "{a} + {b} = {c} (mod {p})": each brace holds an expression and, after a colon, a number format. */
export function fill(template: string, env: Env, label?: (name: string, value: number) => string | null): string {
  return template.replace(PART, (whole, expression?: string, spec?: string) => {
    if (expression === undefined) return whole[0];
    const value = parse(expression)(env);
    if (spec) return format(spec)(value);
    return label?.(expression.trim(), value) ?? plain(value);
  });
}

export const plain = (value: number): string => (Number.isInteger(value) ? `${value}` : format(".6~g")(value));

/** The names that an expression or a template uses. */
export function namesIn(text: string): string[] {
  const found = text.match(/[A-Za-z_]\w*/g) ?? [];
  return [...new Set(found.filter((name) => !Object.hasOwn(FUNCTIONS, name)))];
}
