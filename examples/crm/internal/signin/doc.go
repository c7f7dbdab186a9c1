// Package signin answers who is sitting there: passwords, sessions, and a limit
// on guessing.
//
// Three calls do the work: [Open] over the application's database, then
// [Door.SignIn] for a login form and [Door.Session] for every request after it.
// The caller supplies where accounts live ([Accounts]) and where the acts are
// written down ([Recorder]); without a record nobody is let in.
//
// # How it protects
//
//   - Passwords are stored as Argon2id in the PHC string format ([HashPassword]).
//     A login that does not exist costs the same hash as one that does, and a
//     disabled account, an unknown login and a wrong password get one and the
//     same answer.
//   - A session token is 256 random bits. The table holds only its HMAC, and a
//     second HMAC over the whole row, both under a key that is not in the
//     database: who can read the table cannot sign in with what stands there, and
//     who can write to it cannot make a session or hand one to somebody else.
//   - A session ends after 30 minutes without a request, after 12 hours in any
//     case, at once when the account is disabled, and when its password changes.
//   - Guessing is limited per login as typed, per account, and per address,
//     before a password is looked at, so that parallel guesses do not slip by.
//
// # What is not protected
//
// The limits on guessing live in memory: they start anew with the process, and
// several processes count for themselves. Whoever keeps guessing at a login keeps
// its owner out as well, for a minute or so after they stop. There is no second
// factor.
//
// Who can write to the database can replace a password hash unless the
// application seals that column; see package privacy.
//
// # How it fails
//
// [ErrCredentials] and [*Throttled] are the answers to a person; [ErrNoSession]
// sends a request back to the login page. Every other error is a database or a
// record that does not work, and nobody is let in.
//
// # Stored format
//
// The table crm_sessions may be emptied at any time: everybody signs in again.
package signin
