import { act, button, download, field, fill, grid, h, later, select } from "./dom.js";

const QUICK = [
	["The next submission answers 503", { fault: { status: 503 }, match: { operation: "submitRenderJob" }, times: 1 }],
	["Drop the next stream after 3 events", { fault: { drop_after_events: 3 }, match: { operation: "streamJobProgress" }, times: 1 }],
	["The next job fails", { job: { fail: { scene: 1 } }, match: { operation: "submitRenderJob" }, times: 1 }],
];
const UNITS = ["ms", "s", "m", "h"];

// An input for one value, made from its schema: a time has a unit, a share is in percent.
function valueInput(schema, defs, label) {
	if (schema.const === true) return { el: h("span", { class: "hint" }, "Takes no value."), read: () => true };
	const named = (schema.$ref || "").split("/").pop();
	if (schema.anyOf) return valueInput({ ...schema.anyOf[0], default: schema.default }, defs, label);
	if (schema.enum) {
		const words = schema.enum.filter((x) => x !== true), el = select(label, words, schema.default || words[0]);
		return { el, read: () => el.value };
	}
	if (named === "latency") {
		const mean = timeInput(`${label}, mean`, 800, "ms"), jitter = timeInput(`${label}, jitter`, 0, "ms");
		return { el: h("span", { class: "pair" }, mean.el, "±", jitter.el), read: () => (jitter.amount() ? { mean: mean.read(), jitter: jitter.read() } : mean.read()) };
	}
	if (named === "time") return timeInput(label, 5, "s");
	if (named === "share") {
		const el = h("input", { type: "number", min: "0", max: "100", value: String((schema.default || 0.5) * 100), "aria-label": `${label}, percent` });
		return { el: h("span", { class: "pair" }, el, "%"), read: () => `${el.value}%` };
	}
	if (schema.type === "integer" || schema.type === "number") {
		const el = h("input", { type: "number", min: schema.minimum, max: schema.maximum, value: String(schema.default || (schema.minimum >= 500 ? 503 : Math.max(schema.minimum, 3))), "aria-label": label });
		return { el, read: () => +el.value };
	}
	const el = h("input", { type: "text", value: schema.default || "", "aria-label": label });
	return { el, read: () => el.value };
}
function timeInput(label, value, unit) {
	const amount = h("input", { type: "number", min: "0", step: "any", value: String(value), "aria-label": label }), units = select(`${label}, unit`, UNITS, unit);
	return { el: h("span", { class: "pair" }, amount, units), read: () => `${amount.value || 0}${units.value}`, amount: () => +amount.value };
}

export function faultsScreen(root, ctx) {
	const { store } = ctx;
	const armedBox = h("div"), form = h("div", { class: "form" }), scenarioBox = h("div");
	const left = (f) => { const { id, matched, isRunning, ...doc } = f; return doc.times ? { ...doc, times: doc.times - matched } : doc; };
	const change = (edit, done) => act(async () => { // read just before: one may have matched meanwhile
		const { faults } = await store.get("faults");
		await store.send("PUT", "faults", { faults: edit(faults.filter((f) => f.isRunning)) });
	}, done);
	const arm = (doc) => change((running) => [...running.map(left), doc], "Armed.");
	root.append(h("div", { class: "bar" }, QUICK.map(([name, doc]) => button(name, () => arm(doc), { class: "primary" }))),
		h("div", { class: "columns" }, h("section", { class: "card", "aria-label": "Faults" }, h("h3", {}, "Armed"), armedBox, h("h3", {}, "Arm a fault"), form), h("section", { class: "card", "aria-label": "Scenario" }, scenarioBox)));

	function drawArmed() {
		const armed = store.valueAt("faults") || [];
		fill(armedBox, store.isKnownAt("faults") ? null : h("p", { class: "note" }, "Not known for that instant: the page was opened later."), armed.length ? grid(["Fault", "For", "Matched", "Do"],
			armed.map((f) => h("tr", { class: f.isRunning ? "" : "tocome" }, h("td", {}, h("code", {}, JSON.stringify(f.fault || { job: f.job }))), h("td", {}, f.match ? h("code", {}, JSON.stringify(f.match)) : "every call", f.probability !== undefined ? `, ${f.probability}` : "", f.for !== undefined ? `, for ${f.for}` : ""),
				h("td", {}, `${f.matched}${f.times ? ` of ${f.times}` : ""}`, f.isRunning ? "" : " · over"), h("td", {}, button("Disarm", () => change((running) => running.filter((x) => x.id !== f.id).map(left), "Disarmed."), { class: "small" })))))
			: h("p", { class: "empty" }, "No fault is armed."), armed.length ? button("Disarm all", () => act(() => store.send("DELETE", "faults"), "Disarmed.")) : null);
	}

	async function drawForm() {
		const got = await act(() => Promise.all([store.once("scenario.schema.json"), store.once("spec"), store.get("faults")]));
		if (!got) return;
		const [schema, spec, { kinds }] = got, props = schema.$defs.fault.properties;
		const operations = Object.values(spec.paths).flatMap((p) => Object.values(p).map((o) => o && o.operationId).filter(Boolean));
		const groups = [...new Set(kinds.map((k) => k.of))];
		const kind = h("select", { "aria-label": "Kind of fault", onchange: change }, groups.map((g) => h("optgroup", { label: g }, kinds.filter((k) => k.of === g).map((k) => h("option", { value: k.name }, k.name)))));
		const operation = select("Operation", [["every operation", ""], ...operations], "");
		const times = h("input", { type: "number", min: "1", placeholder: "always" }), share = h("input", { type: "number", min: "0", max: "100", placeholder: "100" }), lasts = timeInput("For", "", "s");
		const what = h("p", { class: "hint" }), value = h("span"), problem = h("p", { class: "problem", role: "status" });
		let input = null;
		function change() {
			input = valueInput(props[kind.value] || { const: true }, schema.$defs, kind.value);
			what.textContent = kinds.find((k) => k.name === kind.value).description;
			fill(value, input.el);
		}
		function read() {
			return { fault: { [kind.value]: input.read() }, ...(operation.value ? { match: { operation: operation.value } } : {}), ...(times.value ? { times: +times.value } : {}), ...(share.value ? { probability: `${share.value}%` } : {}), ...(lasts.amount() ? { for: lasts.read() } : {}) };
		}
		fill(form, h("div", { class: "grid" }, field("Kind", kind), h("div", { class: "field" }, h("span", {}, "Value"), value), field("Operation", operation), field("Times", times), field("Share, %", share), h("div", { class: "field" }, h("span", {}, "For"), lasts.el)), what, problem,
			button("Arm", async () => { const found = await act(() => store.send("POST", "check", { faults: [read()] })); if (!found) return; problem.textContent = found.problems.join(" "); if (!found.problems.length) arm(read()); }, { class: "primary" }));
		change();
	}

	let picked, choose = null;
	const now = h("p", { class: "lead" });
	const editor = h("textarea", { rows: "20", spellcheck: "false", placeholder: "name: mine\njob:\n  queued: 1m", "aria-label": "The scenario as YAML", "aria-describedby": "scenario-problems", oninput: later(250, check) });
	const problems = h("div", { id: "scenario-problems", class: "problems", role: "status" });
	const apply = button("Apply", () => act(async () => { const name = (await store.send("PUT", "scenario", apply.document)).name; return name; }, "The scenario begins now."), { class: "primary", disabled: true });
	async function check() {
		apply.disabled = true;
		if (!editor.value.trim()) { fill(problems); return; }
		const asked = editor.value, found = await act(() => store.send("POST", "check", { scenario: asked }));
		if (!found || asked !== editor.value) return;
		apply.document = found.document; apply.disabled = found.problems.length > 0;
		editor.setAttribute("aria-invalid", found.problems.length > 0);
		fill(problems, found.problems.length ? h("ul", {}, found.problems.map((p) => { const at = /^line:(\d+): ?(.*)$/s.exec(p); return h("li", { class: "problem" }, at ? [button(`line ${at[1]}`, () => goTo(+at[1]), { class: "quiet small" }), " ", at[2]] : p); })) : h("p", { class: "fine" }, "Valid."));
	}
	function goTo(line) {
		const lines = editor.value.split("\n"), start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
		editor.focus();
		editor.setSelectionRange(start, start + (lines[line - 1] || "").length);
	}
	async function drawScenario() {
		const got = await act(() => Promise.all([store.once("scenarios"), store.once("scenario.schema.json")]));
		if (!got) return;
		const [{ scenarios }, schema] = got, about = h("p", { class: "hint" });
		choose = select("Shipped scenario", scenarios.map((s) => s.name), (store.valueAt("scenario") || {}).name, describe);
		function describe(e) { picked = e; about.textContent = (scenarios.find((s) => s.name === choose.value) || {}).description || ""; }
		const load = async () => { const text = await act(() => store.get(`scenarios/${encodeURIComponent(choose.value)}`, { text: true })); if (text !== undefined) { editor.value = text; check(); } };
		fill(scenarioBox, h("h3", {}, "Scenario"), now, h("div", { class: "row" }, field("Shipped", choose), button("Use it", () => act(() => store.send("PUT", "scenario", { name: choose.value }), "The scenario begins now.")), button("Edit a copy", load)), about,
			h("h3", {}, "Your own"), editor, problems, h("div", { class: "row" }, apply, button("Save as a file", () => download(`${((apply.document || {}).name || "scenario").replace(/[^\w-]/g, "-")}.yaml`, editor.value, "application/yaml"))),
			h("details", {}, h("summary", {}, "What a scenario may hold"), keys(schema, schema.$defs, 0)));
		describe();
	}
	function keys(node, defs, depth) {
		const of = node.$ref ? defs[node.$ref.split("/").pop()] : node, shape = of.properties ? of : of.items && of.items.$ref ? defs[of.items.$ref.split("/").pop()] : null;
		if (!shape || !shape.properties) return null;
		return h("dl", { class: "keys" }, Object.entries(shape.properties).map(([name, part]) => [h("dt", {}, button(name, () => { const at = editor.selectionStart; editor.setRangeText(`${name}: `, at, at, "end"); editor.focus(); check(); }, { class: "quiet small", title: "Insert it" })), h("dd", {}, part.description || (part.$ref && defs[part.$ref.split("/").pop()].description) || "", depth < 1 ? keys(part, defs, depth + 1) : null)]));
	}
	drawForm();
	drawScenario();
	return {
		update(topics) {
			if (["faults", "at", "loaded", "clock"].some((t) => topics.has(t))) drawArmed();
			if (["scenario", "at", "loaded"].some((t) => topics.has(t))) { const s = store.valueAt("scenario"); if (choose && s && !picked) choose.value = s.name; fill(now, s ? [h("b", {}, s.name), ` ${s.description} `, s.isChosen ? "" : "(the server's)"] : ""); }
		},
	};
}
