// Package httpaudit puts what an HTTP server knows about a request into the
// context, and records the requests that were refused or that failed.
//
// # The calls you need
//
//	edge, err := httpaudit.New(httpaudit.Config{Log: log, Channel: "web", Proxies: proxies})
//	http.ListenAndServe(addr, edge.Handler(mux))
//
// Inside, every event has the client's address, the request's id and the channel: they come
// from audit.WithSource, and complete what audit.Config.Actor says.
//
// # What is recorded
//
// A response of 401, 403, 407 or 429 is an event "http.denied", one of 500 and above, and a
// panic, "http.failed", through RecordApart: they outlive whatever the handler rolled
// back. The event holds the method, the status and the pattern that http.ServeMux
// matched, never the path, the query or a header: those hold what people typed. A
// handler that records a denial itself, with more to say, calls Recorded. Sign-in, which
// stands inside this middleware, calls Acting(ctx) once the context says who acts: then the event is
// that person's, in the log of their tenant.
//
// # What is not protected
//
// The address is the peer's, or, if the peer is one of Config.Proxies, the last one in
// X-Forwarded-For that is not a proxy. Any other client can write what it likes there
// and is not believed. A request id from outside is taken only from a proxy.
package httpaudit
