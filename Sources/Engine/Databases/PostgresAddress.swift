// The address of a PostgreSQL server, and the care that its password needs (protocol 13).
//
// A password belongs into `PGPASSFILE`, `PGPASSWORD`, the address's `passfile=`, or a file named in the password's place
// (`postgres://user:file%3A%2Fetc%2Fpw@host/db`). One written out is accepted and shown nowhere: every text about an
// address uses `masked`, and nothing that libpq says about an address it could not read is repeated, because it quotes
// what it stumbled over. An address with an unescaped `@`, `/` or `?` in the password would be read as a host with a part
// of the password in its name, and that name would stand in every error; so it is refused here.

import CPostgres
import Foundation

package struct PostgresAddress: Sendable {
    /// The address without secrets: for logs, plans, errors.
    package let masked: String
    private let url: String

    package init(_ url: String) throws {
        self.url = url
        masked = Self.masked(url)
        let rest = url.dropFirst(url.hasPrefix("postgres://") ? 11 : url.hasPrefix("postgresql://") ? 13 : url.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let signs = rest.count { $0 == "@" }
        guard rest.startIndex != url.startIndex, !url.utf8.contains(0), signs == 0 || (signs == 1 && authority.contains("@"))
        else { throw Self.invalid() }
    }

    /// Hides what stands in the password's place and in secret query settings; when in doubt, everything.
    package static func masked(_ url: String) -> String {
        guard let scheme = url.range(of: "://") else { return url.contains("@") ? "***" : url }
        var rest = url[scheme.upperBound...]
        var user = ""
        if let at = rest.lastIndex(of: "@") {
            let before = rest[..<at]
            let colon = before.firstIndex(of: ":")
            user = colon.map { "\(before[..<$0]):***@" } ?? "\(before)@"
            rest = rest[rest.index(after: at)...]
        }
        guard let question = rest.firstIndex(of: "?") else { return "\(url[..<scheme.upperBound])\(user)\(rest)" }
        let settings = rest[rest.index(after: question)...].split(separator: "&", omittingEmptySubsequences: false).map {
            setting -> Substring in
            guard let equals = setting.firstIndex(of: "=") else { return setting }
            let name = (String(setting[..<equals]).removingPercentEncoding ?? "password").lowercased()
            return name.contains("password") ? "\(setting[...equals])***" : setting
        }
        return "\(url[..<scheme.upperBound])\(user)\(rest[...question])\(settings.joined(separator: "&"))"
    }

    /// libpq's settings: what the address says, with ours where it says nothing. Reads a password file that it names.
    func settings() throws -> [(name: String, value: String)] {
        var given: [String: String] = [:]
        guard let options = PQconninfoParse(url, nil) else { throw Self.invalid() }
        defer { PQconninfoFree(options) }
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { given[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        if let password = given["password"], password.hasPrefix("file:") {
            given["password"] = try Self.password(fromFile: String(password.dropFirst(5)))
        }
        // A dead host must be noticed within half a minute, also when it answers nothing at all.
        let ours = [
            "application_name": "sluice", "client_encoding": "UTF8", "connect_timeout": "10", "keepalives_idle": "10",
            "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "30000",
        ]
        return ours.merging(given) { _, given in given }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private static func password(fromFile path: String) throws -> String {
        do {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            return text.hasSuffix("\n") ? String(text.dropLast()) : text
        } catch {
            throw Failure(
                .fileMissing, "cannot read the password file \(path)",
                why: "it is missing, or this user may not read it", now: "check the path and its permissions")
        }
    }

    private static func invalid() -> Failure {
        Failure(
            .invalidSetting, "cannot read the PostgreSQL address",
            why: "it has not the form postgres://user@host:port/database?setting=value",
            now: "write special characters in user or password as %XX (@ is %40, / is %2F, : is %3A), "
                + "or put the password into PGPASSFILE or a file")
    }
}
