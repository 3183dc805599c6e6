// The editor of the flow studio: what NiceGUI's CodeMirror does not do by itself. Marks where a check fails, completion
// from the server, the colours of the page, and going to a line from anywhere on the page. Nothing comes from afar: the
// modules are those that NiceGUI ships.

(() => {
  const state = { view: null, marks: null, dirty: false };

  function words(findings) {
    return findings.map((each) => each.text).join("\n");
  }

  // Columns count characters; the editor counts an emoji twice.
  function at(line, column) {
    return line.from + [...line.text].slice(0, Math.max(column - 1, 0)).join("").length;
  }

  // The parser names what it finds; the stylesheet gives each name a colour, in light and in dark.
  const KINDS = [
    [/^(propertyName|definition\(propertyName\))$/, "key"],
    [/comment/i, "comment"],
    [/string|content/i, "string"],
    [/number|bool|null|keyword|atom/i, "word"],
    [/punctuation|separator|bracket|brace|squareBracket|meta/i, "sign"],
  ];

  const highlighter = {
    style(tags) {
      const names = tags.map((tag) => String(tag));
      for (const [pattern, kind] of KINDS) if (names.some((name) => pattern.test(name))) return `st-${kind}`;
      return null;
    },
  };

  function marking(CM) {
    class Mark extends CM.GutterMarker {
      constructor(severity, text) {
        super();
        this.severity = severity;
        this.text = text;
      }
      eq(other) {
        return this.severity === other.severity && this.text === other.text;
      }
      toDOM() {
        const dot = document.createElement("span");
        dot.className = `st-dot ${this.severity}`;
        dot.title = this.text;
        dot.textContent = this.severity === "error" ? "✗" : "!";
        return dot;
      }
    }
    const set = CM.StateEffect.define();
    const field = CM.StateField.define({
      create: () => ({ findings: [], lines: CM.Decoration.none, gutter: CM.RangeSet.empty }),
      update(value, change) {
        for (const effect of change.effects) if (effect.is(set)) return laid(effect.value, change.state.doc);
        if (!change.docChanged) return value;
        return {
          findings: value.findings,
          lines: value.lines.map(change.changes),
          gutter: value.gutter.map(change.changes),
        };
      },
      provide: (field) => CM.EditorView.decorations.from(field, (value) => value.lines),
    });

    function laid(findings, doc) {
      const byLine = new Map();
      for (const each of findings) {
        const line = Math.min(Math.max(each.line, 1), doc.lines);
        byLine.set(line, [...(byLine.get(line) || []), each]);
      }
      const lines = [];
      const gutter = [];
      for (const [number, found] of [...byLine].sort((one, other) => one[0] - other[0])) {
        const line = doc.line(number);
        const severity = found.some((each) => each.severity === "error") ? "error" : "warning";
        lines.push(CM.Decoration.line({ class: `st-line ${severity}` }).range(line.from));
        gutter.push(new Mark(severity, words(found)).range(line.from));
        for (const each of found) {
          const from = at(line, each.column);
          const rest = /^[\w.-]+|^"[^"]*"?|^\S+/.exec(doc.sliceString(from, line.to));
          const to = from + (rest ? rest[0].length : 0);
          if (to > from) lines.push(CM.Decoration.mark({ class: `st-under ${each.severity}` }).range(from, to));
        }
      }
      return { findings, lines: CM.Decoration.set(lines, true), gutter: CM.RangeSet.of(gutter, true) };
    }

    const hover = CM.hoverTooltip((view, pos) => {
      const line = view.state.doc.lineAt(pos);
      let text = "";
      view.state.field(field).gutter.between(line.from, line.from, (_from, _to, mark) => {
        text = mark.text;
      });
      if (!text) return null;
      return {
        pos: line.from,
        above: true,
        create() {
          const dom = document.createElement("div");
          dom.className = "st-tip";
          dom.textContent = text;
          return { dom };
        },
      };
    });
    const gutter = CM.gutter({ class: "st-gutter", markers: (view) => view.state.field(field).gutter });
    return { set, extension: [field, gutter, hover] };
  }

  function completing(address, file) {
    return async (context) => {
      const { state, pos } = context;
      const text = state.doc.toString();
      const before = text.slice(0, pos);
      if (!context.explicit && !/[\w.-]$/.test(before)) return null;
      const answer = await fetch(address, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ file, before, after: text.slice(pos) }),
      });
      if (!answer.ok) return null;
      const { back, options } = await answer.json();
      if (!options.length) return null;
      const word = before.slice(before.length - back);
      if (!context.explicit && options.some((each) => each.label === word)) return null;
      return {
        from: pos - back,
        options: options.map((each) => ({
          label: each.label,
          type: { key: "property", word: "constant", name: "variable" }[each.sort],
          info: each.about || undefined,
          apply: (view, _option, from, to) => {
            view.dispatch({
              changes: { from, to, insert: each.insert },
              selection: { anchor: from + each.insert.length },
              userEvent: "input.complete",
            });
            if (each.insert.endsWith(": ")) setTimeout(() => offer(view), 50);
          },
        })),
        validFor: /^[\w-]*$/,
      };
    };
  }

  // What CodeMirror binds to Ctrl-Space; the command itself is not among what NiceGUI hands out.
  function offer(view) {
    const key = new KeyboardEvent("keydown", { key: " ", code: "Space", keyCode: 32, ctrlKey: true });
    state.CM.runScopeHandlers(view, key, "editor");
  }

  async function attach(id, { complete, file, label, readOnly, findings }) {
    const CM = await import("nicegui-codemirror");
    const editor = getElement(id);
    const view = editor.editor || (await editor.editorPromise);
    const marks = marking(CM);
    Object.assign(state, { CM, view, marks, dirty: false });
    const offered = [{ autocomplete: completing(complete, file) }]; // one and the same: a new one would begin anew
    view.dispatch({
      effects: [
        editor.themeConfig.reconfigure([]),
        CM.StateEffect.appendConfig.of([
          marks.extension,
          CM.syntaxHighlighting(highlighter),
          CM.EditorState.languageData.of(() => offered),
          CM.EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", tabindex: "0" }),
          CM.EditorState.readOnly.of(readOnly),
          CM.EditorView.editorAttributes.of({ class: "attached" }),
        ]),
      ],
    });
    mark(findings);
  }

  function mark(findings) {
    if (state.view) state.view.dispatch({ effects: state.marks.set.of(findings) });
  }

  function show(line, column) {
    const { view, CM } = state;
    if (!view || line < 1 || line > view.state.doc.lines) return;
    const anchor = at(view.state.doc.line(line), column);
    view.dispatch({ selection: { anchor }, effects: CM.EditorView.scrollIntoView(anchor, { y: "center" }) });
    view.dom.scrollIntoView({ block: "nearest" });
    view.focus();
  }

  function line() {
    return state.view ? state.view.state.doc.lineAt(state.view.state.selection.main.head).number : 1;
  }

  // Whatever speaks of a step or a line leads there.
  document.addEventListener("click", (event) => {
    const found = event.target.closest("[data-line], [data-step]");
    if (!found || !state.view) return;
    if (found.dataset.line) return show(Number(found.dataset.line), Number(found.dataset.column || 1));
    const name = found.dataset.step.split(".")[0].replace(/[^\w-]/g, "");
    const lines = state.view.state.doc.toString().split("\n");
    const place = lines.findIndex((each) => new RegExp(`^\\s+["']?${name}["']?\\s*:`).test(each));
    if (place >= 0) show(place + 1, 1);
  });

  // Tabs as the keyboard knows them: arrows, Home and End.
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.("[role=tab]");
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!tab || step === undefined) return;
    const tabs = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]")];
    const next = Number.isFinite(step)
      ? (tabs.indexOf(tab) + step + tabs.length) % tabs.length
      : step < 0 ? 0 : tabs.length - 1;
    event.preventDefault();
    tabs[next].focus();
    tabs[next].click();
  });

  window.addEventListener("beforeunload", (event) => {
    if (state.dirty) event.preventDefault();
  });

  window.aftersaleStudio = { attach, mark, show, line, dirty: (is) => (state.dirty = is) };
})();
