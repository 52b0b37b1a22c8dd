// The client's side of SCRAM (RFC 5802) as texts in and texts out, and the server's signature checked. No I/O.
//
//   we: n,,n=USER,r=NONCE   server: r=NONCE+MORE,s=SALT,i=ITERATIONS   we: c=biws,r=…,p=PROOF   server: v=SIGNATURE
//
// A server that does not know the password cannot make the signature, so without the check anybody could take our records' place.
// The number of iterations is the server's word and costs us time: it is bounded. Passwords go as they are, without SASLprep, as in
// Kafka's own clients for plain ASCII.

import COpenSSL

package struct ScramExchange {
    /// What the password becomes; a parameter, because it is slow on purpose.
    package typealias Derivation = (_ password: String, _ salt: [UInt8], _ iterations: Int) -> [UInt8]

    /// A server that asks for less is no longer safe, one that asks for more wants our time.
    package static let iterations = 4096...1_000_000

    private let password: String
    private let is512: Bool
    private let nonce: String
    private let firstBare: String
    private let derive: Derivation
    private var expectedSignature: [UInt8] = []

    package init(user: String, password: String, is512: Bool, nonce: String, derive: Derivation? = nil) {
        self.password = password
        self.is512 = is512
        self.nonce = nonce
        self.derive = derive ?? { Self.derivation(is512, $0, $1, $2) }
        // The two signs that mean something in these texts.
        let name = user.flatMap { $0 == "=" ? Array("=3D") : $0 == "," ? Array("=2C") : [$0] }
        firstBare = "n=\(String(name)),r=\(nonce)"
    }

    /// 24 letters and digits.
    package static func makeNonce() -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        return String((0..<24).map { _ in letters.randomElement()! })
    }

    package var first: String { "n,,\(firstBare)" }

    /// - Throws: `StreamError` when the server's text cannot be one.
    package mutating func final(after serverFirst: String) throws -> String {
        let fields = Self.fields(serverFirst)
        if let refused = fields["e"] { throw StreamError("the server says \(refused)") }
        guard let both = fields["r"], both.hasPrefix(nonce), both.count > nonce.count else {
            throw StreamError("the server's nonce does not begin with ours")
        }
        guard let salt = fields["s"].flatMap(Base64.bytes), !salt.isEmpty else { throw StreamError("the server sent no salt") }
        guard let count = fields["i"].flatMap({ Int($0) }), Self.iterations.contains(count) else {
            throw StreamError("the server asks for \(fields["i"] ?? "no") iterations, not \(Self.iterations.lowerBound) to \(Self.iterations.upperBound)")
        }
        let salted = derive(password, salt, count)
        let withoutProof = "c=biws,r=\(both)"
        let message = Array("\(firstBare),\(serverFirst),\(withoutProof)".utf8)
        let clientKey = mac(salted, Array("Client Key".utf8))
        let signature = mac(hash(clientKey), message)
        expectedSignature = mac(mac(salted, Array("Server Key".utf8)), message)
        return "\(withoutProof),p=\(Base64.text(zip(clientKey, signature).map { $0 ^ $1 }))"
    }

    /// - Throws: `StreamError` when the server does not prove that it knows the password.
    package func check(serverFinal: String) throws {
        let fields = Self.fields(serverFinal)
        if let refused = fields["e"] { throw StreamError("the server says \(refused)") }
        guard let signature = fields["v"].flatMap(Base64.bytes), !expectedSignature.isEmpty,
            signature.count == expectedSignature.count,
            CRYPTO_memcmp(signature, expectedSignature, signature.count) == 0
        else { throw StreamError("the server's signature is not that of somebody who knows the password") }
    }

    private static func fields(_ text: String) -> [Character: String] {
        var fields: [Character: String] = [:]
        for piece in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let name = piece.first, piece.dropFirst().first == "=", fields[name] == nil else { continue }
            fields[name] = String(piece.dropFirst(2))
        }
        return fields
    }

    private var digest: OpaquePointer? { is512 ? EVP_sha512() : EVP_sha256() }
    private var digestBytes: Int { is512 ? 64 : 32 }

    private func mac(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: digestBytes) { buffer, count in
            var size: UInt32 = 0
            HMAC(digest, key, Int32(key.count), message, message.count, buffer.baseAddress, &size)
            count = Int(size)
        }
    }

    private func hash(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: digestBytes) { buffer, count in
            var size: UInt32 = 0
            EVP_Digest(bytes, bytes.count, buffer.baseAddress, &size, digest, nil)
            count = Int(size)
        }
    }

    private static func derivation(_ is512: Bool, _ password: String, _ salt: [UInt8], _ iterations: Int) -> [UInt8] {
        let bytes = is512 ? 64 : 32
        return [UInt8](unsafeUninitializedCapacity: bytes) { buffer, count in
            PKCS5_PBKDF2_HMAC(
                password, Int32(password.utf8.count), salt, Int32(salt.count), Int32(iterations), is512 ? EVP_sha512() : EVP_sha256(),
                Int32(bytes), buffer.baseAddress)
            count = bytes
        }
    }
}

/// Base64 with padding, strictly.
package enum Base64 {
    package static func text(_ bytes: [UInt8]) -> String {
        if bytes.isEmpty { return "" }
        let encoded = [UInt8](unsafeUninitializedCapacity: (bytes.count + 2) / 3 * 4 + 1) { buffer, count in
            count = Int(EVP_EncodeBlock(buffer.baseAddress, bytes, Int32(bytes.count)))
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    package static func bytes(_ text: String) -> [UInt8]? {
        let encoded = Array(text.utf8)
        guard encoded.count % 4 == 0, encoded.count <= 4096 else { return nil }
        if encoded.isEmpty { return [] }
        let padding = encoded.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2 else { return nil }
        var isBroken = false
        let decoded = [UInt8](unsafeUninitializedCapacity: encoded.count / 4 * 3) { buffer, count in
            let size = EVP_DecodeBlock(buffer.baseAddress, encoded, Int32(encoded.count))
            isBroken = size < 0
            count = max(0, Int(size) - padding)
        }
        return isBroken ? nil : decoded
    }
}
