// A request and a response as values: what handlers read and write, without a socket in sight.
//
// Bodies are whole byte arrays, because every message of ours is bounded: control messages are small JSON, and a block
// is at most what a worker holds in memory anyway. Errors travel as `{"error": Failure}` with a status that a person
// with curl understands; programs of ours read the `Failure` and ignore the status.
//
// When changing this file: the error body is read by workers and drivers of other builds.

import Engine
import FoundationEssentials

/// What a client asked, after the secret was checked and the body is complete.
package struct HTTPRequest: Sendable {
    package var method: String
    /// Percent escapes are decoded; the query is not part of it.
    package var path: String
    /// Decoded; of a key that is given twice the last one counts, a key without `=` is empty.
    package var query: [String: String]
    /// Names in lower case.
    package var headers: [String: String]
    package var body: [UInt8]

    package init(
        method: String, path: String, query: [String: String] = [:], headers: [String: String] = [:],
        body: [UInt8] = []
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// The body as a message; a body that is none is the caller's mistake.
    package func decode<Message: Decodable>(_ type: Message.Type = Message.self) throws(Failure) -> Message {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw Failure(
                .wrongUsage, "the request body cannot be read",
                why: "\(method) \(path) expects \(type) as JSON: \(place(of: error))",
                now: "send the fields that the API describes; driver and workers must be of the same build")
        }
    }
}

/// What a handler answers.
package struct HTTPResponse: Sendable {
    package var status: Int
    package var contentType: String
    /// A large body is sent out of this array as the connection takes it, without a copy of the whole.
    package var body: [UInt8]
    package var headers: [(String, String)]

    package init(
        status: Int = 200, contentType: String = "application/octet-stream", body: [UInt8] = [],
        headers: [(String, String)] = []
    ) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.headers = headers
    }

    package static func text(
        _ text: String, status: Int = 200, contentType: String = "text/plain; charset=utf-8"
    ) -> HTTPResponse {
        HTTPResponse(status: status, contentType: contentType, body: Array(text.utf8))
    }

    package static func json(_ message: some Encodable, status: Int = 200) -> HTTPResponse {
        do {
            return HTTPResponse(
                status: status, contentType: "application/json", body: [UInt8](try JSONEncoder().encode(message)))
        } catch {
            return .failure(
                Failure(
                    .internal, "an answer could not be written as JSON",
                    why: "\(type(of: message)): \(place(of: error))",
                    now: "report this with the log of this process"))
        }
    }

    package static func failure(_ failure: Failure, status: Int? = nil) -> HTTPResponse {
        .json(FailureBody(error: failure), status: status ?? httpStatus(of: failure))
    }

    /// What `answer` returns, or the failure it throws; for a handler that is a list of `try`s.
    package static func answering(_ answer: () throws -> HTTPResponse) -> HTTPResponse {
        do {
            return try answer()
        } catch let failure as Failure {
            return .failure(failure)
        } catch {
            return .failure(
                Failure(
                    .internal, "a request could not be answered", why: "an error of type \(type(of: error))",
                    now: "report this with the log of this process"))
        }
    }
}

/// `{"error": ...}`: the body of every answer with a status of 400 or more.
package struct FailureBody: Codable, Sendable {
    package var error: Failure

    package init(error: Failure) { self.error = error }
}

/// `{}`: a message that says nothing but that it arrived.
package struct EmptyMessage: Codable, Sendable, Hashable {
    package init() {}
}

/// The status that says the same as `failure` to programs that know HTTP only.
package func httpStatus(of failure: Failure) -> Int {
    if let status = statusOfCode[failure.code] { return status }
    return switch failure.blame {
    case .user: 400
    case .external: 503
    case .internal: 500
    }
}

private let statusOfCode: [Failure.Code: Int] = [
    .unauthorized: 401, .notAllowed: 403, .unknownJob: 404, .jobExists: 409, .staleEpoch: 409, .leaseHeld: 409,
    .otherBuild: 409, .otherSettings: 409, .blockLost: 410, .limitExceeded: 413,
]

/// Where in a document a coding error lies and of what kind it is; never the value that stands there.
func place(of error: any Error) -> String {
    func path(_ context: DecodingError.Context) -> String {
        context.codingPath.isEmpty ? "at the top" : "at " + context.codingPath.map(\.stringValue).joined(separator: ".")
    }
    switch error {
    case DecodingError.keyNotFound(let key, let context): return "`\(key.stringValue)` is missing \(path(context))"
    case DecodingError.typeMismatch(let type, let context): return "\(path(context)) there is no \(type)"
    case DecodingError.valueNotFound(let type, let context): return "\(path(context)) there is null in place of \(type)"
    case DecodingError.dataCorrupted(let context): return "not valid \(path(context))"
    case EncodingError.invalidValue(_, let context):
        return "no JSON for the value at \(context.codingPath.map(\.stringValue).joined(separator: "."))"
    default: return "\(type(of: error))"
    }
}
