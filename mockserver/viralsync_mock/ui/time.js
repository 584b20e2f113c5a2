import { act, announce, button, clockText, dayText, fill, h, length, Table } from "./dom.js";
import { ms } from "./store.js";
import { strip } from "./jobs.js";

const MODES = [["real", "real", "With real time"], ["scaled", "× N", "N times as fast"], ["frozen", "frozen", "Only when moved"], ["auto", "auto", "Each read of a job goes to its next step"], ["jump", "jumping", "To the next wake-up when everybody waits"]];

// The bar over every screen: the clock in the hand, and the past under the thumb.
export class TimeBar {
	constructor(root, ctx) {
		this.ctx = ctx; this.store = ctx.store;
		this.day = h("span", { class: "day" }); this.time = h("time", { class: "now" }); this.note = h("span", { class: "note" });
		this.modes = MODES.map(([mode, name, title]) => button(name, () => this.mode(mode), { title, "data-mode": mode }));
		this.rate = h("input", { type: "number", min: "0.001", max: "1000000", step: "any", value: "20", "aria-label": "Times as fast", class: "rate", onchange: () => this.store.clock.mode === "scaled" && this.mode("scaled") });
		this.moves = [button("+1 s", () => this.advance(1)), button("+30 s", () => this.advance(30)), button("Next step", () => this.next()), button("Until done", () => this.untilDone(), { title: "To the end of the last unfinished job" })];
		this.range = h("input", { type: "range", min: "0", max: "1000", value: "1000", "aria-label": "Look at the past", oninput: () => this.scrub() });
		this.back = button("Back to now", () => this.store.scrub(null), { class: "primary", hidden: true });
		this.edge = h("span", { class: "edge" });
		fill(root, h("div", { class: "clock" }, this.day, this.time, this.note),
			h("div", { class: "group", role: "group", "aria-label": "How time moves" }, this.modes.slice(0, 2), this.rate, this.modes.slice(2)),
			h("div", { class: "group", role: "group", "aria-label": "Move the clock" }, this.moves),
			h("div", { class: "past", role: "group", "aria-label": "The past" }, this.edge, this.range, this.back));
	}

	update(topics) {
		const { store } = this, clock = store.clock;
		if (topics.has("clock") || topics.has("loaded")) {
			for (const el of this.modes) el.setAttribute("aria-pressed", el.dataset.mode === clock.mode);
			if (clock.mode === "scaled" && document.activeElement !== this.rate) this.rate.value = clock.rate;
			const said = `${clock.mode} ${clock.now}`;
			if (this.said && said !== this.said) announce(`Clock ${clock.mode}, ${clockText(clock.now, false)}`);
			this.said = said;
		}
		for (const el of this.moves) el.disabled = store.isPast;
		this.back.hidden = !store.isPast;
		document.body.classList.toggle("in-past", store.isPast);
		this.tick();
	}

	tick() {
		const { store } = this, at = store.instant;
		this.time.textContent = clockText(at); this.day.textContent = dayText(at);
		this.note.textContent = store.isPast ? `the past, ${length(store.now() - at)} ago` : store.clock.rate && store.clock.rate !== 1 ? `× ${store.clock.rate}` : "";
		const since = store.since === null ? store.now() : store.since, span = store.now() - since;
		this.range.disabled = span <= 0;
		this.edge.textContent = span > 0 ? `${length(span)} of history` : "no history yet";
		if (document.activeElement !== this.range || !store.isPast) this.range.value = store.isPast && span > 0 ? Math.round(((at - since) / span) * 1000) : 1000;
		this.range.setAttribute("aria-valuetext", store.isPast ? `${clockText(at)}, the past` : "now");
	}

	scrub() {
		const { store } = this, value = +this.range.value;
		store.scrub(value >= 1000 ? null : Math.round(store.since + ((store.now() - store.since) * value) / 1000));
	}

	mode(mode) { return act(() => this.store.send("PATCH", "clock", mode === "scaled" ? { mode, rate: +this.rate.value || 1 } : { mode })); }
	freeze() { return this.mode(this.store.clock.mode === "frozen" ? "real" : "frozen"); }
	move(body) { return act(async () => { const done = await this.store.send("POST", "clock/advance", body); announce(`${clockText(ms(done.now), false)}: ${done.effects.length} things happened`); return done; }); }
	advance(seconds) { return this.move({ seconds }); }
	next() { return this.move({ to: "next" }); }
	untilDone() {
		const ends = [...this.store.jobs.values()].map((j) => j.ends).filter((end) => end !== null && end > this.store.now());
		if (!ends.length) return act(() => Promise.reject(new Error("No unfinished job has an end to come.")));
		return this.move({ to: new Date(Math.max(...ends)).toISOString() });
	}
}

const WORDS = { step: (e) => `${e.status}${e.phase && e.phase !== e.status ? ` · ${e.phase}` : ""}${e.progress !== undefined && e.progress !== null ? ` · ${Math.round(e.progress * 100)} %` : ""}`, charge: (e) => `${e.minutes} render minutes charged`, event: (e) => `event ${e.id}: ${e.status}`, delivery: (e) => `webhook ${e.webhook}: ${e.outcome}${e.attempts > 1 ? ` after ${e.attempts} attempts` : ""}` };

export function timeScreen(root, ctx) {
	const { store } = ctx;
	const list = h("div", { class: "moves" }), overview = h("div", { class: "overview" });
	const upcoming = new Table("What comes next", [["At", "w-time"], ["In", "w-num"], ["Job", ""], ["Becomes", ""]], (x) => [clockText(x.at), length(x.at - store.instant), h("a", { href: ctx.link({ screen: "jobs", id: x.job }) }, x.job), h("span", { class: `s ${x.status}` }, x.phase || x.status)]);
	root.append(h("div", { class: "columns" },
		h("section", { class: "card" }, h("h3", {}, "What each move of the clock did, in order"), list),
		h("section", { class: "card" }, h("h3", {}, "Jobs in time"), overview, h("h3", {}, "What comes next"), upcoming.frame)));

	function drawMoves() {
		const moves = store.moves.filter((m) => !store.isPast || m.to <= store.at).slice(-40).reverse();
		if (!moves.length) { fill(list, h("p", { class: "empty" }, "Not moved since this page was opened. Press “Next step”, or n.")); return; }
		fill(list, moves.map((m, i) => h("details", { open: i === 0 }, h("summary", {}, h("b", {}, clockText(m.to)), ` ${m.to === m.from ? m.mode : `+${length(m.to - m.from)}`} · ${m.effects.length} ${m.effects.length === 1 ? "effect" : "effects"}${m.truncated ? " and more" : ""}`),
			h("ol", { class: "effects" }, m.effects.map((e) => h("li", {}, h("code", {}, clockText(ms(e.at))), " ", h("span", { class: `tag ${e.kind}` }, e.kind), " ", h("a", { href: ctx.link({ screen: "jobs", id: e.jobId }) }, e.jobId), " ", (WORDS[e.kind] || JSON.stringify)(e)))))));
	}
	function drawJobs() {
		const jobs = store.jobsAt().slice(0, 14);
		if (!jobs.length) { fill(overview, h("p", { class: "empty" }, "No job yet. Submit one on the screen ", h("a", { href: ctx.link({ screen: "jobs" }) }, "Jobs"), ".")); upcoming.set([], "Nothing is to come."); return; }
		const from = Math.min(...jobs.map((j) => j.created)), to = Math.max(store.now(), ...jobs.map((j) => j.ends || 0), from + 1000);
		fill(overview, h("ul", { class: "lanes" }, jobs.map((j) => h("li", {}, h("a", { href: ctx.link({ screen: "jobs", id: j.id }) }, j.id), strip(j, store.instant, from, to, 360)))));
		const coming = [];
		for (const job of store.jobs.values()) for (const mark of job.marks) if (mark.at > store.instant) { coming.push({ id: `${job.id} ${mark.at}`, job: job.id, ...mark }); break; }
		upcoming.set(coming.sort((a, b) => a.at - b.at).slice(0, 200), "Nothing is to come.");
	}
	return {
		update(topics) {
			if (["clock", "at", "loaded"].some((t) => topics.has(t))) drawMoves();
			if (["clock", "at", "jobs", "loaded"].some((t) => topics.has(t))) drawJobs();
		},
		tick: drawJobs,
	};
}
