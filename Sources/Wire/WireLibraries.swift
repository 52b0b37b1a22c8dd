// The C libraries that driver and workers talk through, as they say it themselves.

import CCurl
import CMicroHTTPD
import Engine

package enum WireLibraries {
    package static var loaded: [LibraryVersion] {
        [
            LibraryVersion("libmicrohttpd", version: String(cString: MHD_get_version()), symbol: "MHD_get_version"),
            LibraryVersion("libcurl", version: curl, symbol: "curl_version"),
        ]
    }

    /// `libcurl/7.88.1 OpenSSL/3.0 ...` begins with its own version.
    private static var curl: String {
        let first = String(cString: curl_version()).split(separator: " ").first ?? "unknown"
        return first.split(separator: "/").last.map { String($0) } ?? "unknown"
    }
}
