// What a driver or a worker goes by towards others: the secret of its cluster, its certificate, whom it believes.
//
// One value is handed to the process's server and to its client, so that they cannot disagree. A server without the
// secret must ask for certificates: there is no way to make one that lets everybody in (protocol 13).

import Engine
import Foundation

package struct Credentials: Sendable {
    package let secret: String?
    /// With it the server speaks HTTPS.
    package let server: ServerTLS?
    package let client: ClientTLS

    package init(secret: String?, server: ServerTLS? = nil, client: ClientTLS = ClientTLS()) {
        precondition(secret != nil || server?.clientAuthorities != nil, "a server needs the secret or authorities")
        self.secret = secret
        self.server = server
        self.client = client
    }

    package func makeClient() -> HTTPClient { HTTPClient(secret: secret, tls: client) }

    package func makeServer(
        address: String, port: Int, handler: @escaping @Sendable (HTTPRequest) -> HTTPResponse
    ) throws(Failure) -> HTTPServer {
        try HTTPServer(address: address, port: port, secret: secret, tls: server, handler: handler)
    }

    /// Where others reach a server that listens on `host`: one that listens on every address is reached by the name of
    /// this machine.
    package func url(host: String, port: Int) -> String {
        let isEvery = ["0.0.0.0", "::", "[::]"].contains(host)
        return "\(server == nil ? "http" : "https")://\(isEvery ? ProcessInfo.processInfo.hostName : host):\(port)"
    }
}
