// Python, tracebacks and the fences of a reply, told apart well enough for the eye. Text in, elements out.

const PYTHON = new RegExp(
  [
    /(?<comment>#[^\n]*)/,
    /(?<string>[rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))/,
    /(?<keyword>\b(?:and|as|assert|async|await|break|class|continue|def|del|elif|else|except|False|finally|for|from|global|if|import|in|is|lambda|None|nonlocal|not|or|pass|raise|return|True|try|while|with|yield)\b)/,
    /(?<number>\b\d[\w.]*)/,
    /(?<call>\b[A-Za-z_]\w*(?=\())/,
  ]
    .map((pattern) => pattern.source)
    .join("|"),
  "g",
);
const MOST_HIGHLIGHTED = 20000;
const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
const FAILURE = /^\s*(?:Traceback \(most recent call last\)|[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Iteration|Warning)\b.*|  File ".*)$/;

function python(code) {
  if (code.length > MOST_HIGHLIGHTED) return [code];
  const parts = [];
  let end = 0;
  for (const match of code.matchAll(PYTHON)) {
    const [kind] = Object.entries(match.groups).find(([, found]) => found !== undefined);
    parts.push(code.slice(end, match.index), element("span", { class: `py-${kind}` }, match[0]));
    end = match.index + match[0].length;
  }
  return [...parts, code.slice(end)];
}

function output(text) {
  return text
    .split(/(?<=\n)/)
    .map((line) => (FAILURE.test(line.trimEnd()) ? element("span", { class: "failure" }, line) : line));
}

// A reply as [kind, text] pieces, "prose" or "code", in order; an open fence lasts to the end.
function pieces(reply) {
  const found = [];
  let fence = null;
  let lines = [];
  const close = (kind) => {
    if (lines.length) found.push([kind, lines.join("\n")]);
    lines = [];
  };
  for (const line of reply.replace(/\r\n/g, "\n").split("\n")) {
    const mark = FENCE.exec(line);
    if (fence === null && mark) {
      close("prose");
      fence = mark[1];
    } else if (fence !== null && mark && mark[1].startsWith(fence) && !mark[2].trim()) {
      close("code");
      fence = null;
    } else {
      lines.push(line);
    }
  }
  close(fence === null ? "prose" : "code");
  return found.filter(([, text]) => text.trim());
}
