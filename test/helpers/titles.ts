/**
 * The titles of tests as they stand in a source: what is given to `test`, `it` or `describe`, the column of a table that such a title
 * is made of, and the keys of scenarios. Any other text of the file is none.
 */
import ts from 'typescript';

const DECLARING = new Set(['test', 'it', 'describe']);
const SCENARIOS = 'declareScenarios';

/** Those of templates with their `${...}`, as they are written. */
export function titlesIn(text: string): ReadonlySet<string> {
  const source = ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true);
  const titles = new Set<string>();
  const add = (node: ts.Node | undefined) => {
    const title = node === undefined ? undefined : literalOf(node);
    if (title !== undefined) titles.add(title);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const [title] = node.arguments;
      if (title !== undefined && DECLARING.has(nameOf(node.expression))) {
        add(title);
        for (const name of namesIn(title)) for (const cell of columnOf(name)) add(cell);
      }
      if (nameOf(node.expression) === SCENARIOS) for (const key of keysIn(node.arguments[1])) add(key);
    }
    if (ts.isArrowFunction(node) && node.type?.getText().includes('<string, Scenario>')) {
      for (const key of keysIn(node.body)) add(key);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return titles;
}

function literalOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return node.text;
  return ts.isTemplateExpression(node) ? node.getText().slice(1, -1) : undefined;
}

/** Of what is called: `test`, and in `context.test` as well. */
function nameOf(callee: ts.Expression): string {
  return ts.isPropertyAccessExpression(callee) ? callee.name.text : callee.getText();
}

/** The variables that a title is, or puts together. */
function namesIn(title: ts.Expression): ts.Identifier[] {
  const parts = ts.isTemplateExpression(title) ? title.templateSpans.map(({ expression }) => expression) : [title];
  return parts.filter((part) => ts.isIdentifier(part));
}

/** What a loop around the name gives it, row by row. */
function columnOf(name: ts.Identifier): readonly ts.Node[] {
  for (let at: ts.Node = name; at.parent !== undefined; at = at.parent) {
    if (!ts.isForOfStatement(at) || !ts.isVariableDeclarationList(at.initializer)) continue;
    const pattern = at.initializer.declarations[0]?.name;
    const rows = arrayOf(at.expression)?.elements ?? [];
    if (pattern === undefined) continue;
    if (ts.isIdentifier(pattern) && pattern.text === name.text) return rows;
    if (ts.isIdentifier(pattern)) continue;
    const index = pattern.elements.findIndex((element) => ts.isBindingElement(element) && isNamed(element, name));
    const element = pattern.elements[index];
    if (element === undefined || !ts.isBindingElement(element)) continue;
    return rows.flatMap((row) => cellOf(row, index, (element.propertyName ?? element.name).getText()));
  }
  return [];
}

function isNamed({ name }: ts.BindingElement, wanted: ts.Identifier): boolean {
  return ts.isIdentifier(name) && name.text === wanted.text;
}

function cellOf(row: ts.Node, index: number, key: string): ts.Node[] {
  const plain = bare(row);
  if (ts.isArrayLiteralExpression(plain)) return plain.elements.slice(index, index + 1);
  if (!ts.isObjectLiteralExpression(plain)) return [];
  return plain.properties.flatMap((property) =>
    ts.isPropertyAssignment(property) && property.name.getText() === key ? [property.initializer] : [],
  );
}

/** The table itself, or the one that a constant of the file names. */
function arrayOf(expression: ts.Expression): ts.ArrayLiteralExpression | undefined {
  const plain = bare(expression);
  if (ts.isArrayLiteralExpression(plain)) return plain;
  if (!ts.isIdentifier(plain)) return undefined;
  for (const statement of plain.getSourceFile().statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (name.getText() === plain.text && initializer !== undefined) return arrayOf(initializer);
    }
  }
  return undefined;
}

/** The keys of an object of scenarios, also of one that a function returns or that is made of pairs. */
function keysIn(scenarios: ts.Node | undefined): ts.Node[] {
  if (scenarios === undefined) return [];
  const plain = bare(scenarios);
  if (ts.isArrowFunction(plain)) return keysIn(plain.body);
  if (ts.isArrayLiteralExpression(plain)) return plain.elements.slice(0, 1);
  if (ts.isCallExpression(plain)) return plain.arguments.flatMap(keysIn);
  if (!ts.isObjectLiteralExpression(plain)) return [];
  return plain.properties.flatMap(({ name }) =>
    name === undefined ? [] : [ts.isComputedPropertyName(name) ? name.expression : name],
  );
}

function bare(node: ts.Node): ts.Node {
  return ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node)
    ? bare(node.expression)
    : node;
}
