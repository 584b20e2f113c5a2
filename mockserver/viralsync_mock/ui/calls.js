import { act, button, clockText, copy, download, fill, h, later, length, pretty, select, Table } from "./dom.js";

export function callsScreen(root, ctx) {
	const { store } = ctx;
	let filter = "", statuses = "", known = null, shown = null;
	const detail = h("section", { class: "card detail", "aria-label": "The call" });
	const table = new Table("Calls", [["At", "w-time"], ["Method", "w-method"], ["Path", "wide"], ["Status", "w-status"], ["Ending", "w-end"]], row, { onpick: (c) => ctx.go({ screen: "calls", id: c.id, filter }) });
	const search = h("input", { type: "search", placeholder: "Filter: path, operation, code, job, id", "aria-label": "Filter calls", "data-filter": "", oninput: later(120, () => { filter = search.value.trim(); draw(); }) });
	const count = h("span", { class: "count" });
	root.append(h("div", { class: "bar" }, search, select("Status", [["any status", ""], ["2xx", "2"], ["4xx", "4"], ["5xx", "5"], ["no answer", "-"]], "", (v) => { statuses = v; draw(); }), count,
		h("span", { class: "end group" }, button("HAR", () => act(async () => download("viralsync-mock.har", await store.get("journal.har", { text: true }), "application/json")), { title: "Download all calls as HAR 1.2" }), button("Clear", () => act(() => store.send("DELETE", "journal"), "The journal is empty.")))),
		h("div", { class: "columns" }, h("section", { class: "card list", "aria-label": "List of calls" }, table.frame), detail));

	const pending = (c) => store.isPast && (c.doneMs === null || c.doneMs > store.at);
	function row(c) {
		const status = pending(c) ? null : c.status;
		return [clockText(c.ms), c.method, h("button", { class: "rowlink", type: "button", title: c.path }, c.path, c.query ? `?${c.query}` : ""),
			h("span", { class: `st s${status ? String(status)[0] : 0}` }, status === null ? "–" : status, c.code ? h("small", {}, ` ${c.code}`) : null), c.events !== undefined ? `${c.events} events, ${c.ending}` : pending(c) ? "pending" : c.ending];
	}
	const fits = (c, words) => words.every((w) => c.path.toLowerCase().includes(w) || (c.operation || "").toLowerCase().includes(w) || (c.code || "").toLowerCase().includes(w) || (c.jobId || "").includes(w) || c.id.includes(w) || c.method.toLowerCase() === w || String(c.status) === w);
	function draw() {
		const all = store.callsAt(), words = filter.toLowerCase().split(/\s+/).filter(Boolean), found = [];
		for (let i = all.length - 1; i >= 0; i--) {
			const c = all[i];
			if (statuses && (statuses === "-" ? c.status !== null : String(c.status)[0] !== statuses)) continue;
			if (!words.length || fits(c, words)) found.push(c);
		}
		count.textContent = `${found.length} of ${all.length}`;
		table.set(found, all.length ? "No call fits the filter." : store.isPast ? "There was no call yet at that instant." : "No call yet. Every call of your code with this key appears here.", ctx.place().id || null);
	}

	async function drawDetail() {
		const id = ctx.place().id;
		if (!id) { shown = known = null; fill(detail, h("p", { class: "empty" }, "Pick a call to read why it got its response.")); return; }
		const call = store.calls[store.callAt.get(id) - (store.dropped || 0)], state = call ? `${id} ${call.status} ${call.ending} ${call.events}` : id;
		if (state === known) return;
		known = state;
		let doc;
		try { doc = await store.get(`journal/${encodeURIComponent(id)}`); } catch (e) { if (known === state) fill(detail, h("p", { class: "problem" }, e.message)); return; }
		if (known !== state) return;
		shown = doc;
		explain();
	}

	function explain() {
		const d = shown, facts = [];
		const fact = (name, ...value) => facts.push(h("dt", {}, name), h("dd", {}, value));
		const json = (x) => h("code", {}, JSON.stringify(x));
		fact("Came at", clockText(Date.parse(d.at)), d.answeredAt ? `, answered after ${length(Date.parse(d.answeredAt) - Date.parse(d.at))}` : ", not answered yet", ` · clock ${d.clock.mode}`);
		if (d.operation) fact("Operation", d.operation);
		if (d.jobId) fact("Job", h("a", { href: ctx.link({ screen: "jobs", id: d.jobId }) }, d.jobId), d.step ? `: ${d.step.status}${d.step.phase ? `, phase ${d.step.phase}` : ""}, step ${d.step.number}` : `: ${d.whyNoStep}`);
		if (d.scenario) fact("Scenario", d.scenario.name, `, chosen by the ${d.scenario.chosenBy}`);
		if (d.rule) fact("Rule", `number ${d.rule.number}: `, json(d.rule.match), " → ", json(d.rule.does));
		if (d.nearMiss) fact("Nearest rule that did not match", `number ${d.nearMiss.number}: `, d.nearMiss.reasons.join("; "));
		for (const f of d.faults) fact("Fault", f.from, " ", json(f.fault));
		if (d.rateLimit) fact("Rate limit", `${d.rateLimit.used} of ${d.rateLimit.requests} in ${d.rateLimit.windowSeconds} s`, d.rateLimit.nextFreeAt ? `; a slot frees at ${clockText(Date.parse(d.rateLimit.nextFreeAt))}` : "");
		if (d.quota) fact("Quota", `plan ${d.quota.plan}: ${d.quota.minutesUsed} of ${d.quota.minutesPerMonth === null ? "unlimited" : d.quota.minutesPerMonth} minutes this month; ${d.quota.jobs} of ${d.quota.jobsAtOnce === null ? "unlimited" : d.quota.jobsAtOnce} jobs at once`);
		const side = (name, m) => h("details", {}, h("summary", {}, `${name}${m ? ` · ${m.size === null ? "stream" : `${m.size} bytes`}` : ": none"}`), m && [h("table", { class: "headers" }, h("tbody", {}, Object.entries(m.headers).map(([n, v]) => h("tr", {}, h("th", { scope: "row" }, n), h("td", {}, v))))), m.body ? h("pre", { tabindex: "0", "aria-label": `${name} body` }, pretty(m.body)) : null, m.isTruncated ? h("p", {}, "The body is longer.") : null]);
		fill(detail, h("div", { class: "row" }, h("h3", {}, `${d.method} ${d.path}`), h("span", { class: "end group" }, button("Copy as curl", () => copy(d.replay.curl, "the command")), button("Copy id", () => copy(d.callId, "the id"), { class: "quiet" }))),
			h("p", { class: "why" }, d.summary), h("dl", { class: "facts" }, facts),
			d.violations.length ? [h("h4", {}, "Where it breaks the spec"), h("ul", {}, d.violations.map((v) => h("li", {}, h("code", {}, v.place), " ", v.message)))] : null,
			d.nearestValid ? [h("h4", {}, "The nearest valid request"), d.nearestValid.body !== undefined ? diff(pretty(d.request.body), pretty(d.nearestValid.body)) : null, d.nearestValid.query !== undefined ? h("p", {}, "Query: ", h("code", {}, d.nearestValid.query || "none")) : null] : null,
			side("Request", d.request), side("Response", d.response));
	}

	return {
		update(topics, at) {
			if (topics.has("place") && at.filter !== undefined && at.filter !== filter) { filter = at.filter; search.value = filter; }
			if (["calls", "at", "loaded", "place"].some((t) => topics.has(t))) { draw(); drawDetail(); }
		},
	};
}

// Lines that were sent and lines that would be valid, by the longest common part.
export function diff(was, is) {
	const a = was.split("\n").slice(0, 400), b = is.split("\n").slice(0, 400), size = b.length + 1;
	const best = new Uint16Array((a.length + 1) * size);
	for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) best[i * size + j] = a[i] === b[j] ? best[(i + 1) * size + j + 1] + 1 : Math.max(best[(i + 1) * size + j], best[i * size + j + 1]);
	const lines = [];
	let i = 0, j = 0;
	while (i < a.length || j < b.length) {
		if (i < a.length && j < b.length && a[i] === b[j]) { lines.push([" ", a[i]]); i++; j++; }
		else if (j >= b.length || (i < a.length && best[(i + 1) * size + j] >= best[i * size + j + 1])) lines.push(["-", a[i++]]);
		else lines.push(["+", b[j++]]);
	}
	const near = lines.map((l, n) => lines.slice(Math.max(0, n - 3), n + 4).some(([s]) => s !== " "));
	return h("pre", { class: "diff", tabindex: "0", "aria-label": "What was sent, and the nearest valid body" }, lines.map(([s, text], n) => (near[n] ? h(s === "+" ? "ins" : s === "-" ? "del" : "span", {}, `${s} ${text}\n`) : near[n - 1] ? h("span", {}, "  …\n") : null)));
}
