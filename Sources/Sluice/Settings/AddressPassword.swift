// Passwords inside addresses: found, hidden, and taken out.
//
// `postgres://user:password@host/db` and `...?password=...` are the two places in which an address carries one. A file
// named in the first place (`postgres://user:file%3A%2Fetc%2Fpw@host/db`) is no password: it may be given in a flag, is
// shown, and goes to the workers, which read the file themselves.
// Whatever prints, records or compares an address goes through here first (protocol 13).

package enum AddressPassword {
    /// The address with `***` in place of every password.
    package static func masked(_ address: String) -> String { rewritten(address, replacement: "***") }

    /// The address without its passwords; the user stays.
    package static func removed(from address: String) -> String { rewritten(address, replacement: nil) }

    package static func isPresent(in address: String) -> Bool { masked(address) != address }

    private static func isFile(_ password: Substring) -> Bool {
        let start = password.lowercased()
        return start.hasPrefix("file:") || start.hasPrefix("file%3a")
    }

    private static func rewritten(_ address: String, replacement: String?) -> String {
        guard let schemeEnd = address.firstRange(of: "://")?.upperBound else { return address }
        var result = String(address[..<schemeEnd])
        var rest = address[schemeEnd...]
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        // A password may itself hold a slash or an @ that somebody forgot to escape: the last @ decides.
        let userEnd = rest[..<authorityEnd].lastIndex(of: "@") ?? rest.lastIndex(of: "@")
        if let userEnd {
            let user = rest[..<userEnd]
            if let colon = user.firstIndex(of: ":"), !isFile(user[user.index(after: colon)...]) {
                result += user[..<colon]
                if let replacement { result += ":" + replacement }
            } else {
                result += user
            }
            rest = rest[userEnd...]
        }
        guard let question = rest.firstIndex(of: "?") else { return result + rest }
        result += rest[..<question]
        let parameters = rest[rest.index(after: question)...].split(separator: "&").compactMap { parameter -> String? in
            let name = parameter.prefix { $0 != "=" }.lowercased()
            guard name.contains("password") || name.contains("secret"), name.count < parameter.count else {
                return String(parameter)
            }
            return replacement.map { "\(name)=\($0)" }
        }
        return parameters.isEmpty ? result : result + "?" + parameters.joined(separator: "&")
    }
}
