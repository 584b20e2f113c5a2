// What the page knows of one sandbox: read once, then kept up to date by GET /__mock/events.

const CONTROL = new URL("..", import.meta.url); // …/__mock/
export const ROOT = new URL("..", CONTROL).href.replace(/\/$/, "");
const MOST_CALLS = 20000, MOST_MOVES = 500, MOST_JOBS = 2000;
export const ms = (text) => (text ? Date.parse(text) : null);

export class Store {
	constructor() { this.listeners = new Set(); this.dirty = new Set(); this.statics = new Map(); this.clear(); this.state = "closed"; }

	clear() {
		this.calls = []; this.callAt = new Map(); this.jobs = new Map(); this.jobOrder = []; this.deliveries = new Map();
		this.received = new Map(); this.streams = new Map(); this.moves = []; this.history = { faults: [], account: [], scenario: [], inbox: [] };
		this.timelines = new Map(); this.wanted = []; this.loading ||= 0; this.jobTotal = 0; this.at = null; this.since = null;
		this.clock = { now: 0, mode: "frozen", rate: 0, heard: performance.now() };
	}

	// ---------------------------------------------------------------- calls of the control API

	use({ key, sandbox, token }) {
		this.key = key; this.user = sandbox; this.token = token;
		this.headers = { ...(key ? { "x-api-key": key } : sandbox ? { "x-mock-sandbox": sandbox } : {}), ...(token ? { "x-mock-token": token } : {}) };
		this.clear();
		this.follow();
	}

	async send(method, path, body, { text = false, base = CONTROL.href, headers = {} } = {}) {
		const init = { method, headers: { ...this.headers, ...headers }, cache: "no-store" };
		if (body !== undefined) { init.body = typeof body === "string" ? body : JSON.stringify(body); init.headers["content-type"] = "application/json"; }
		let response;
		try { response = await fetch(base + path, init); } catch { throw new Error("The mock does not answer. Is it still running?"); }
		const raw = await response.text();
		if (text && response.ok) return raw;
		let document = null;
		try { document = raw ? JSON.parse(raw) : null; } catch { /* not JSON */ }
		if (!response.ok) throw Object.assign(new Error((document && document.error) || `${response.status} ${raw.slice(0, 200)}`), { status: response.status, document });
		return document;
	}
	get(path, options) { return this.send("GET", path, undefined, options); }

	once(path, options) { // files that do not change while the page is open
		if (!this.statics.has(path)) this.statics.set(path, this.get(path, options).catch((e) => { this.statics.delete(path); throw e; }));
		return this.statics.get(path);
	}

	submit(body) {
		return this.send("POST", "/v1/render/jobs", body, { base: ROOT, headers: { "x-mock-observer": "page" } });
	}

	// ---------------------------------------------------------------- events

	async follow() {
		this.stop();
		const mine = (this.running = new AbortController());
		let wait = 300, last = null;
		while (!mine.signal.aborted) {
			try {
				const response = await fetch(`${CONTROL.href}events`, { headers: { ...this.headers, ...(last ? { "last-event-id": last } : {}) }, signal: mine.signal, cache: "no-store" });
				if (response.ok) {
					wait = 300;
					last = await this.read(response.body.getReader(), last, mine.signal);
				} else if (response.status < 500 && response.status !== 425) { // 425: a dead replica has the key still
					const refusal = await response.json().catch(() => ({}));
					this.refused = refusal.error || `The mock answers ${response.status}.`;
					this.turn("refused");
					return;
				}
			} catch (problem) {
				if (mine.signal.aborted) return;
				last = problem.last || last;
			}
			this.turn("lost");
			await new Promise((done) => setTimeout(done, wait));
			wait = Math.min(wait * 2, 4000);
		}
	}
	stop() { if (this.running) this.running.abort(); }
	turn(state) { this.state = state; this.touch("state"); }

	async read(reader, last, signal) {
		const decoder = new TextDecoder();
		let rest = "", slice = 0;
		try {
			for (;;) {
				const { done, value } = await reader.read();
				if (done || signal.aborted) return last;
				const parts = (rest + decoder.decode(value, { stream: true })).split("\n\n");
				rest = parts.pop();
				for (const part of parts) {
					const lines = Object.fromEntries(part.split("\n").map((l) => [l.slice(0, l.indexOf(": ")), l.slice(l.indexOf(": ") + 2)]));
					if (!lines.event) continue;
					last = lines.id;
					this.take(lines.event, JSON.parse(lines.data));
					if (performance.now() > slice) { // others get their turn
						await new Promise((go) => setTimeout(go));
						slice = performance.now() + 8;
					}
				}
			}
		} catch (problem) { throw Object.assign(problem, { last }); }
	}

	take(kind, data) {
		const at = ms(data.at);
		if (kind === "hello") { this.setClock(data.clock); this.turn("open"); if (!data.isResumed) this.load(); return; }
		if (kind === "call") this.addCall(data.call);
		else if (kind === "job") this.addJob(data.jobId, data.job);
		else if (kind === "delivery") this.deliveries.set(data.delivery.deliveryId, data.delivery);
		else if (kind === "received") this.received.set(data.received.number, data.received);
		else if (kind === "stream") { const id = data.event.jobId; this.streams.set(id, [...(this.streams.get(id) || []).slice(-999), data.event]); }
		else if (kind === "clock") {
			this.setClock(data.clock);
			if (data.from) this.moves.push({ id: this.moves.length, from: ms(data.from), to: ms(data.clock.now), mode: data.clock.mode, effects: data.effects, truncated: data.truncated });
			if (this.moves.length > MOST_MOVES) this.moves.shift();
		} else if (kind in this.history) this.remember(kind, at, data[kind]);
		else if (kind === "journal") { this.calls = []; this.callAt.clear(); this.touch("calls"); }
		else if (kind === "reset") this.load();
		this.touch(TOPICS[kind] || kind);
	}

	setClock(clock) { this.clock = { ...clock, now: ms(clock.now), heard: performance.now() }; this.touch("clock"); }
	remember(kind, at, value) {
		const list = this.history[kind];
		list.push({ at, value });
		if (list.length > 2000) list.shift();
	}

	async load() {
		const mine = (this.loadNumber = (this.loadNumber || 0) + 1);
		try {
			const [clock, account, scenario, faults, calls, deliveries, inbox] = await Promise.all(
				["clock", "account", "scenario", "faults", "journal?limit=1000", "deliveries?limit=1000", "inbox?limit=200"].map((p) => this.get(p)));
			if (mine !== this.loadNumber) return;
			this.clear();
			this.setClock(clock);
			const now = this.clock.now;
			this.remember("account", now, account); this.remember("scenario", now, scenario); this.remember("faults", now, faults.faults);
			this.kinds = faults.kinds;
			const { received, ...settings } = inbox;
			this.remember("inbox", now, settings);
			for (const each of calls.calls.reverse()) this.addCall(each);
			for (const each of deliveries.deliveries.reverse()) this.deliveries.set(each.deliveryId, each);
			for (const each of received.reverse()) this.received.set(each.number, each);
			this.touch("calls", "webhooks", "account", "faults", "scenario", "inbox", "loaded");
			let before = "", got = 0;
			do {
				const page = await this.get(`jobs?limit=100${before && `&before=${before}`}`);
				if (mine !== this.loadNumber) return;
				for (const each of page.jobs) this.addJob(each.jobId, each, true);
				this.jobTotal = page.total; got += page.jobs.length;
				before = page.jobs.length ? page.jobs[page.jobs.length - 1].jobId : "";
				this.touch("jobs");
			} while (before && got < this.jobTotal && got < MOST_JOBS);
		} catch (problem) { this.problem = problem.message; this.touch("state"); }
	}

	addCall(call) {
		call.id = call.callId; call.ms = ms(call.at); call.doneMs = ms(call.answeredAt);
		const at = this.callAt.get(call.id);
		if (at !== undefined) this.calls[at - this.callOffset()] = call;
		else { this.callAt.set(call.id, this.callOffset() + this.calls.length); this.calls.push(call); }
		if (this.calls.length > MOST_CALLS) {
			for (const gone of this.calls.splice(0, 1000)) this.callAt.delete(gone.id);
			this.dropped = this.callOffset() + 1000;
		}
		if (this.since === null || call.ms < this.since) this.since = call.ms;
	}
	callOffset() { return this.calls.length ? this.dropped || 0 : (this.dropped = 0); }

	addJob(id, job, isOlder = false) {
		if (job === null) { this.jobs.delete(id); this.jobOrder = this.jobOrder.filter((x) => x !== id); this.timelines.delete(id); return; }
		const known = this.jobs.get(id);
		job.id = id; job.created = ms(job.createdAt); job.ends = ms(job.endsAt);
		job.marks = job.marks.map((m) => ({ ...m, at: ms(m.at) }));
		if (known && JSON.stringify(known.marks) !== JSON.stringify(job.marks)) { const old = this.timelines.get(id); if (old) old.isStale = true; }
		else if (known && known.progress !== job.progress && this.timelines.get(id)) this.timelines.get(id).isStale = true;
		this.jobs.set(id, job);
		if (!known) isOlder ? this.jobOrder.push(id) : this.jobOrder.unshift(id);
		if (!known && !isOlder) this.jobTotal++;
		if (this.since === null || job.created < this.since) this.since = job.created;
	}

	// Whole timelines are read for the jobs that are looked at, a few at a time.
	timeline(id) {
		const known = this.timelines.get(id);
		if ((!known || known.isStale) && !this.wanted.includes(id)) { this.wanted.push(id); this.readTimelines(); }
		return known && known.steps ? known : null;
	}
	async readTimelines() {
		while (this.loading < 3 && this.wanted.length) {
			const id = this.wanted.shift();
			this.loading++;
			this.timelines.set(id, { ...(this.timelines.get(id) || {}), isStale: false });
			this.get(`jobs/${encodeURIComponent(id)}`).then((doc) => {
				doc.steps = doc.steps.map((s) => ({ ...s, at: ms(s.at) }));
				for (const child of doc.children) child.marks = child.marks.map((m) => ({ ...m, at: ms(m.at) }));
				this.timelines.set(id, doc);
				this.touch("jobs");
			}).catch(() => this.timelines.delete(id)).finally(() => { this.loading--; this.readTimelines(); });
		}
	}

	// ---------------------------------------------------------------- as of an instant

	now() {
		const c = this.clock;
		return c.rate ? c.now + (performance.now() - c.heard) * c.rate : c.now;
	}
	get instant() { return this.at === null ? this.now() : this.at; }
	get isPast() { return this.at !== null; }
	scrub(at) { this.at = at; this.touch("at"); }

	callsAt() { // oldest first
		if (!this.isPast) return this.calls;
		let low = 0, high = this.calls.length;
		while (low < high) { const mid = (low + high) >> 1; this.calls[mid].ms <= this.at ? (low = mid + 1) : (high = mid); }
		return this.calls.slice(0, low);
	}
	jobsAt() {
		const all = this.jobOrder.map((id) => this.jobs.get(id));
		return this.isPast ? all.filter((job) => job.created <= this.at) : all;
	}
	markAt(job, t = this.instant) {
		let found = job.marks[0];
		for (const mark of job.marks) if (mark.at <= t) found = mark;
		return found;
	}
	stepAt(doc, t = this.instant) {
		let found = doc.steps[0];
		for (const step of doc.steps) { if (step.at > t) break; found = step; }
		return found;
	}
	deliveriesAt() {
		const all = [...this.deliveries.values()].reverse();
		if (!this.isPast) return all;
		return all.filter((d) => ms(d.madeAt) <= this.at).map((d) => {
			const attempts = d.attempts.filter((a) => ms(a.endedAt) <= this.at);
			return { ...d, attempts, outcome: attempts.length === d.attempts.length && (attempts.length || d.outcome === "dropped") ? d.outcome : "pending" };
		});
	}
	receivedAt() { return [...this.received.values()].reverse().filter((r) => !this.isPast || ms(r.at) <= this.at); }
	valueAt(kind) {
		const list = this.history[kind];
		if (!this.isPast) return list.length ? list[list.length - 1].value : null;
		let found = null;
		for (const each of list) if (each.at <= this.at) found = each.value;
		return found || (list.length ? list[0].value : null);
	}
	isKnownAt(kind) { const list = this.history[kind]; return !this.isPast || (list.length > 0 && list[0].at <= this.at); }

	// ---------------------------------------------------------------- listeners, once a frame

	on(listener) { this.listeners.add(listener); return () => this.listeners.delete(listener); }
	touch(...topics) {
		for (const topic of topics) this.dirty.add(topic);
		if (this.planned) return;
		this.planned = true;
		const wait = Math.max(0, 100 - (performance.now() - (this.lastTold || 0)));
		setTimeout(() => requestAnimationFrame(() => {
			this.planned = false;
			this.lastTold = performance.now();
			const dirty = this.dirty;
			this.dirty = new Set();
			for (const listener of this.listeners) listener(dirty);
		}), wait);
	}
}
const TOPICS = { call: "calls", job: "jobs", delivery: "webhooks", received: "webhooks", stream: "jobs" };
