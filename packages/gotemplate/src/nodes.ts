import { quote } from "./printf.ts";

/** The tree of a parsed template. Positions are offsets into its text. */
export type Node =
  | TextNode
  | ActionNode
  | BranchNode
  | TemplateNode
  | { readonly kind: "break"; readonly position: number }
  | { readonly kind: "continue"; readonly position: number };

export interface TextNode {
  readonly kind: "text";
  readonly position: number;
  readonly text: string;
}

export interface ActionNode {
  readonly kind: "action";
  readonly position: number;
  readonly pipe: PipeNode;
}

export interface BranchNode {
  readonly kind: "if" | "range" | "with";
  readonly position: number;
  readonly pipe: PipeNode;
  readonly list: readonly Node[];
  readonly elseList?: readonly Node[];
}

export interface TemplateNode {
  readonly kind: "template";
  readonly position: number;
  readonly name: string;
  readonly pipe?: PipeNode;
}

export interface PipeNode {
  readonly kind: "pipe";
  readonly position: number;
  readonly line: number;
  readonly isAssign: boolean;
  readonly declarations: readonly VariableNode[];
  readonly commands: readonly CommandNode[];
}

export interface CommandNode {
  readonly kind: "command";
  readonly position: number;
  readonly args: readonly Operand[];
}

export interface VariableNode {
  readonly kind: "variable";
  readonly position: number;
  /** `$name` and the fields after it. */
  readonly idents: readonly string[];
}

export type Operand =
  | { readonly kind: "identifier"; readonly position: number; readonly name: string }
  | { readonly kind: "dot"; readonly position: number }
  | { readonly kind: "nil"; readonly position: number }
  | { readonly kind: "bool"; readonly position: number; readonly value: boolean }
  | {
      readonly kind: "number";
      readonly position: number;
      readonly text: string;
      readonly value: number | bigint;
      readonly isInt: boolean;
    }
  | { readonly kind: "string"; readonly position: number; readonly text: string; readonly quoted: string }
  | { readonly kind: "field"; readonly position: number; readonly idents: readonly string[] }
  | { readonly kind: "chain"; readonly position: number; readonly node: Operand; readonly fields: readonly string[] }
  | VariableNode
  | PipeNode;

/** The source of a node, as Go prints it in errors. */
export function sourceOf(node: Node | Operand | CommandNode): string {
  switch (node.kind) {
    case "text":
      return quote(node.text);
    case "action":
      return `{{${sourceOf(node.pipe)}}}`;
    case "break":
    case "continue":
      return `{{${node.kind}}}`;
    case "if":
    case "range":
    case "with": {
      const otherwise = node.elseList === undefined ? "" : `{{else}}${node.elseList.map(sourceOf).join("")}`;
      return `{{${node.kind} ${sourceOf(node.pipe)}}}${node.list.map(sourceOf).join("")}${otherwise}{{end}}`;
    }
    case "template":
      return `{{template ${quote(node.name)}${node.pipe === undefined ? "" : ` ${sourceOf(node.pipe)}`}}}`;
    case "pipe": {
      const names = node.declarations.map(sourceOf).join(", ");
      const head = names === "" ? "" : `${names} ${node.isAssign ? "=" : ":="} `;
      return head + node.commands.map(sourceOf).join(" | ");
    }
    case "command":
      return node.args.map((arg) => (arg.kind === "pipe" ? `(${sourceOf(arg)})` : sourceOf(arg))).join(" ");
    case "identifier":
      return node.name;
    case "dot":
      return ".";
    case "nil":
      return "nil";
    case "bool":
      return String(node.value);
    case "number":
      return node.text;
    case "string":
      return node.quoted;
    case "field":
      return node.idents.map((ident) => `.${ident}`).join("");
    case "variable":
      return node.idents.join(".");
    case "chain": {
      const head = node.node.kind === "pipe" ? `(${sourceOf(node.node)})` : sourceOf(node.node);
      return head + node.fields.map((field) => `.${field}`).join("");
    }
  }
}
