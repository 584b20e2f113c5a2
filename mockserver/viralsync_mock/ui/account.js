import { act, ago, button, clockText, download, field, fill, grid, h, later, select, wide } from "./dom.js";
import { ms } from "./store.js";

function gauge(name, used, limit, unit, note) {
	const share = limit ? Math.min(used / limit, 1) : 0;
	return h("div", { class: "gauge" }, h("div", { class: "row" }, h("b", {}, name), h("span", { class: "end" }, limit === null ? `${used} ${unit}, no limit` : `${used} of ${limit} ${unit}`)), h("meter", { min: "0", max: "1", value: share, high: "0.8", optimum: "0", "aria-label": name }, `${Math.round(share * 100)} %`), note ? h("small", {}, note) : null);
}

export function accountScreen(root, ctx) {
	const { store } = ctx;
	const gauges = h("div"), form = h("div"), notice = h("p", { class: "note" });
	root.append(h("div", { class: "columns" }, h("section", { class: "card", "aria-label": "Limits" }, h("h3", {}, "Limits"), notice, gauges), h("section", { class: "card", "aria-label": "Account" }, h("h3", {}, "Account"), form)));
	const patch = (body, done = "Changed.") => act(() => store.send("PATCH", "account", body), done);
	const exhaust = (limit) => button("Exhaust", () => act(() => store.send("POST", "exhaust", { limit }), `The ${limit} limit is used up.`), { class: "small bad" });
	function drawGauges() {
		const a = store.valueAt("account");
		if (!a) return;
		const l = a.limits, w = l.window, t = store.instant;
		const calls = w ? w.calls.map(ms).filter((c) => c <= t && c > t - w.windowSeconds * 1000) : [];
		const free = w && calls.length >= w.requests ? calls[calls.length - w.requests] + w.windowSeconds * 1000 : null;
		notice.textContent = store.isKnownAt("account") ? "" : "Not known for that instant: the page was opened later.";
		fill(gauges, h("div", { class: "row" }, gauge("Rate limit", w ? calls.length : 0, w ? w.requests : null, w ? `calls in ${w.windowSeconds} s` : "calls", free ? `Full: the next slot frees at ${clockText(free)}` : null), exhaust("rate")),
			h("div", { class: "row" }, gauge("Render minutes of the month", +a.minutesUsed.toFixed(3), l.minutesPerMonth, "min"), exhaust("quota")),
			h("div", { class: "row" }, gauge("Render minutes of the day", +a.minutesUsedToday.toFixed(3), l.minutesPerDay, "min")),
			h("div", { class: "row" }, gauge("Jobs at once", l.jobs, l.jobsAtOnce, "jobs"), exhaust("concurrency")));
	}
	let plan, month, day, revoked, email;
	async function drawForm() {
		const spec = await act(() => store.once("spec"));
		if (!spec) return;
		plan = select("Plan", Object.keys(spec["x-plans"]), "", (v) => patch({ plan: v }));
		month = h("input", { type: "number", min: "0", step: "any" }); day = h("input", { type: "number", min: "0", step: "any" });
		revoked = h("input", { type: "checkbox", onchange: () => patch({ revoked: revoked.checked }, revoked.checked ? "The key is revoked." : "The key is good again.") });
		email = h("input", { type: "email", placeholder: "made from the user's id" });
		fill(form, field("Plan", plan), h("div", { class: "row" }, field("Minutes used this month", month), button("Set", () => patch({ minutesUsed: +month.value }))), h("div", { class: "row" }, field("Minutes used today", day), button("Set", () => patch({ minutesUsedToday: +day.value }))),
			h("div", { class: "row" }, field("E-mail", email), button("Set", () => patch({ email: email.value || null }))), h("label", { class: "check" }, revoked, "Revoked: the API refuses the key"));
		drawValues();
	}
	function drawValues() {
		const a = store.valueAt("account");
		if (!a || !plan) return;
		const set = (el, value) => { if (document.activeElement !== el) el.value = value; };
		set(plan, a.plan); set(month, +a.minutesUsed.toFixed(3)); set(day, +a.minutesUsedToday.toFixed(3)); set(email, a.email || "");
		revoked.checked = a.revoked;
	}
	drawForm();
	return { update(topics) { if (["account", "at", "clock", "loaded", "scenario"].some((t) => topics.has(t))) { drawGauges(); drawValues(); } }, tick: drawGauges };
}

export function sandboxesScreen(root, ctx) {
	const { store } = ctx;
	const list = h("div"), file = h("input", { type: "file", accept: "application/json,.json", "aria-label": "A snapshot to restore", hidden: true, onchange: restore });
	root.append(h("div", { class: "bar" }, button("A new sandbox", () => act(async () => ctx.openSandbox({ key: await ctx.newKey() })), { class: "primary" }), button("Refresh", draw)),
		h("section", { class: "card", "aria-label": "Sandboxes" }, list, file));
	let target = null;
	async function call(user, method, path, body, options = {}) {
		const own = store.headers;
		store.headers = { "x-mock-sandbox": user, ...(store.token ? { "x-mock-token": store.token } : {}) };
		try { return await store.send(method, path, body, options); } finally { store.headers = own; }
	}
	function restore() {
		const [chosen] = file.files;
		if (chosen && target) act(async () => { await call(target, "PUT", "snapshot", await chosen.text()); draw(); }, "Restored.");
		file.value = "";
	}
	async function draw() {
		const got = await act(() => store.get("sandboxes"));
		if (!got || list.contains(document.activeElement) && document.activeElement.type === "text") return; // a name is typed
		const mine = (store.valueAt("account") || {}).userId;
		fill(list, h("p", { class: "lead" }, `${got.total} open, the last used first. Keys are not shown.`), wide("List of sandboxes", grid(["Name", "Account", "Last use", "Clock", "Scenario", "Jobs", "Calls", "Do"], got.sandboxes.slice(0, 200).map((s) => {
			const name = h("input", { type: "text", value: s.name || "", maxlength: "100", placeholder: "no name", "aria-label": `Name of ${s.userId}`, onchange: () => act(() => call(s.userId, "PATCH", "sandbox", { name: name.value || null }), "Renamed.") });
			const doing = [s.userId === mine ? h("em", {}, "this one") : button("Open", () => ctx.openSandbox({ sandbox: s.userId }), { class: "small", "aria-label": `Open ${s.userId}` }),
				button("Reset", () => act(async () => { await call(s.userId, "POST", "reset"); await draw(); }, "Reset."), { class: "small bad", "aria-label": `Reset ${s.userId}` }),
				button("Snapshot", () => act(async () => download(`${s.userId}.json`, await call(s.userId, "GET", "snapshot?journal=true", undefined, { text: true }), "application/json")), { class: "small", "aria-label": `Snapshot of ${s.userId}` }),
				button("Restore …", () => { target = s.userId; file.click(); }, { class: "small", "aria-label": `Restore ${s.userId}` })];
			return h("tr", { class: s.userId === mine ? "picked" : "" }, [name, h("code", {}, s.userId), s.calls ? `${ago(s.idleSeconds)} ago` : "no call", `${s.clock.mode} ${clockText(ms(s.clock.now), false)}`, s.scenario, s.jobs, s.calls, h("span", { class: "group" }, doing)].map((c) => h("td", {}, c)));
		}))));
	}
	return { update(topics) { if (topics.has("place") || topics.has("loaded") || topics.has("reset")) draw(); } };
}

export function verdictScreen(root, ctx) {
	const { store } = ctx;
	const verdict = h("div", { "aria-live": "polite" }), met = h("div");
	root.append(h("div", { class: "columns" }, h("section", { class: "card", "aria-label": "Verdict" }, h("h3", {}, "Verdict on the client"), verdict), h("section", { class: "card", "aria-label": "Coverage" }, h("h3", {}, "Coverage"), met)));
	const evidence = (id) => h("a", { href: ctx.link(id.startsWith("call_") ? { screen: "calls", id } : { screen: "webhooks", id }) }, id);
	const draw = later(150, async () => {
		const got = await act(() => Promise.all([store.get("verdict"), store.get("coverage")]));
		if (!got) return;
		const [v, c] = got, order = ["failed", "inconclusive", "waived", "passed", "not_applicable"];
		const isOpen = v.rules.every((r) => r.outcome === "not_applicable");
		fill(verdict, h("p", { class: `big ${isOpen ? "note" : v.verdict === "well behaved" ? "fine" : "problem"}` }, isOpen ? "not applicable: nothing to judge yet" : v.verdict), store.isPast ? h("p", { class: "note" }, "As of now, not of the past.") : null,
			h("ul", { class: "rules" }, [...v.rules].sort((a, b) => order.indexOf(a.outcome) - order.indexOf(b.outcome)).map((r) => h("li", {}, h("span", { class: `s ${r.outcome}` }, r.outcome.replace("_", " ")), h("div", {}, h("b", {}, r.rule), h("p", {}, r.reason), r.evidence.length ? h("p", { class: "evidence" }, r.evidence.map((id) => [evidence(id), " "])) : null)))));
		const groups = new Map();
		for (const [facts, is] of [[c.met, true], [c.unmet, false]]) for (const fact of facts) { const name = fact.split(" ")[0]; groups.set(name, [...(groups.get(name) || []), [fact, is]]); }
		fill(met, gauge("States of the API that the client has met", c.met.length, c.met.length + c.unmet.length, `states, ${c.percent} %`), [...groups].map(([name, facts]) => h("details", {}, h("summary", {}, `${name}: ${facts.filter(([, is]) => is).length} of ${facts.length}`), h("ul", { class: "facts2" }, facts.map(([f, is]) => h("li", { class: is ? "met" : "unmet" }, is ? "✓ " : "· ", f.slice(name.length + 1) || f, h("span", { class: "offscreen" }, is ? " met" : " not met")))))));
	});
	return { update(topics) { if (["calls", "webhooks", "loaded", "place", "reset"].some((t) => topics.has(t))) draw(); } };
}
