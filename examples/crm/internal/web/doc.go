// Package web is the pages of the CRM: rendered on the server, in Chinese and
// English, for a keyboard, a phone and a browser without scripts.
//
// [New] takes what stands behind the pages as small interfaces and returns one
// http.Handler. The caller supplies a function that puts the signed-in person
// into the context ([Config.Within]); everything behind the pages decides by that
// context what the person may see. The pages themselves decide nothing: they show
// the cells they are given, and a masked cell holds no value that could leak.
//
// # How it protects
//
//   - The full value of a masked field is on no page. It leaves through one POST,
//     with a reason, as JSON for the script that shows it for 30 seconds, or as a
//     page of its own for a browser without scripts.
//   - A customer that is not there, one that the person may not see, and an address
//     below /customers/ that means nothing get the same answer, byte for byte.
//   - Nothing inline: the content security policy allows scripts and styles from
//     this server only, and trusted types forbid making HTML from text.
//   - A form is accepted from this site only (the browser says so in Sec-Fetch-Site
//     or Origin), and only with the token of the session that it was shown to.
//   - The log holds route patterns, status and a request id: no address with an id
//     in it, no query, no form value, no token.
//
// # What is not protected
//
// A search stands in the address of the result page, so the browser's history
// keeps it. Behind a proxy every request comes from the proxy's address: the
// headers in which a proxy claims another one are not believed.
//
// # How it fails
//
// An error that is not one of package desk becomes a page with the request id and
// nothing else; the log has the rest.
package web
