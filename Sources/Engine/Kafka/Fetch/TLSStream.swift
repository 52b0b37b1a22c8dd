// TLS 1.2 and 1.3 around a socket, by OpenSSL: the broker's certificate and its name are checked, and ours shown when asked.
//
// OpenSSL works on memory and never sees the socket (its own writes would raise SIGPIPE): what it wants to send is sent by the plain
// stream, what came is given to it. The name that is checked is the one that was connected to; an address of numbers is looked
// for among the certificate's addresses and is never sent as a server's name.
//
// A certificate that is not trusted fails the opening with OpenSSL's words, which `ConnectionHint` knows.

import COpenSSL
import Glibc

package final class TLSStream: BrokerStream {
    private let plain: PlainStream
    private let context: OpaquePointer
    private let session: OpaquePointer
    // Owned by the session.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private var unsent: [UInt8] = []
    private var scratch = [UInt8](repeating: 0, count: 32 << 10)

    package var descriptor: Int32 { plain.descriptor }
    package var awaited: Int16 { unsent.isEmpty ? 0 : Int16(POLLOUT) }

    /// - Parameter host: as it was connected to.
    package init(_ plain: PlainStream, host: String, _ settings: BrokerAccess.TLS, until deadline: ContinuousClock.Instant) throws {
        self.plain = plain
        context = try TLSContext.make(settings)
        guard let session = SSL_new(context), let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            SSL_CTX_free(context)
            throw StreamError("OpenSSL gives no session: \(TLSContext.errors())")
        }
        (self.session, self.incoming, self.outgoing) = (session, incoming, outgoing)
        SSL_set_bio(session, incoming, outgoing)
        SSL_set_connect_state(session)
        var address = in6_addr()
        let isNumber = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
        if !isNumber { _ = sluice_tls_name(session, host) }
        if settings.checksHost && settings.checksCertificate {
            let done = isNumber ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) : SSL_set1_host(session, host)
            guard done == 1 else { throw StreamError("OpenSSL does not take the host name \(host)") }
        }
        try shakeHands(until: deadline)
    }

    deinit {
        SSL_free(session)
        SSL_CTX_free(context)
    }

    private func shakeHands(until deadline: ContinuousClock.Instant) throws {
        while true {
            ERR_clear_error()
            let result = SSL_do_handshake(session)
            let problem = SSL_get_error(session, result)
            let words = TLSContext.errors()
            try flush()
            if result == 1 { return }
            guard problem == SSL_ERROR_WANT_READ else {
                let verified = SSL_get_verify_result(session)
                let why = verified == Int(X509_V_OK) ? "" : ": \(String(cString: X509_verify_cert_error_string(verified)))"
                throw StreamError("SSL handshake failed: \(words)\(why)")
            }
            let came: Bool
            do { came = try feed() } catch let error as StreamError { throw StreamError("SSL connection closed by peer: \(error.why)") }
            if !came { try plain.wait(until: deadline, for: unsent.isEmpty ? Int16(POLLIN) : Int16(POLLIN | POLLOUT)) }
        }
    }

    /// Gives OpenSSL what has come.
    /// - Returns: false when nothing has.
    private func feed() throws -> Bool {
        guard let count = try scratch.withUnsafeMutableBytes({ try plain.receive(into: $0) }) else { return false }
        guard BIO_write(incoming, scratch, Int32(count)) == Int32(count) else { throw StreamError("OpenSSL takes no bytes") }
        return true
    }

    /// Sends what OpenSSL wants to send, as far as the socket takes it.
    private func flush() throws {
        while true {
            if unsent.isEmpty {
                guard sluice_bio_pending(outgoing) > 0 else { return }
                let count = BIO_read(outgoing, &scratch, Int32(scratch.count))
                guard count > 0 else { return }
                unsent.append(contentsOf: scratch[..<Int(count)])
            }
            guard let sent = try unsent.withUnsafeBytes({ try plain.send($0) }) else { return }
            unsent.removeFirst(sent)
        }
    }

    package func receive(into room: UnsafeMutableRawBufferPointer) throws -> Int? {
        try flush()
        while true {
            ERR_clear_error()
            let count = SSL_read(session, room.baseAddress, Int32(clamping: room.count))
            if count > 0 { return Int(count) }
            switch SSL_get_error(session, count) {
            case SSL_ERROR_WANT_READ:
                try flush()
                if try !feed() { return nil }
            case SSL_ERROR_ZERO_RETURN: throw StreamError("the broker closed the connection")
            default: throw StreamError("SSL receive failed: \(TLSContext.errors())")
            }
        }
    }

    package func send(_ bytes: UnsafeRawBufferPointer) throws -> Int? {
        try flush()
        guard unsent.isEmpty else { return nil }
        ERR_clear_error()
        let count = SSL_write(session, bytes.baseAddress, Int32(clamping: min(bytes.count, 16 << 10)))
        if count > 0 {
            try flush()
            return Int(count)
        }
        guard SSL_get_error(session, count) == SSL_ERROR_WANT_READ else { throw StreamError("SSL send failed: \(TLSContext.errors())") }
        _ = try feed()
        return nil
    }
}

/// What all sessions of one configuration share; made anew for each, because lines are opened rarely and files may change.
enum TLSContext {
    static func make(_ settings: BrokerAccess.TLS) throws -> OpaquePointer {
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw StreamError("OpenSSL gives no context: \(errors())") }
        do {
            try fill(context, settings)
            return context
        } catch {
            SSL_CTX_free(context)
            throw error
        }
    }

    /// What OpenSSL says about the last call, and forgets it.
    static func errors() -> String {
        var texts: [String] = []
        while true {
            let code = ERR_get_error()
            if code == 0 { break }
            texts.append(code == 0 ? "" : String(cString: ERR_error_string(code, nil)))
        }
        return texts.isEmpty ? "the connection was closed" : texts.joined(separator: "; ")
    }

    private static func fill(_ context: OpaquePointer, _ settings: BrokerAccess.TLS) throws {
        _ = sluice_tls_least(context, TLS1_2_VERSION)
        func check(_ isDone: Bool, _ property: String, _ value: String?) throws {
            if isDone { return }
            throw Failure(
                .invalidSetting, "kafka.\(property) cannot be used", why: "\(value.map { "\($0): " } ?? "")\(errors())",
                now: "check the file or value, and that this user may read it")
        }
        if let ciphers = settings.ciphers { try check(SSL_CTX_set_cipher_list(context, ciphers) == 1, "ssl.cipher.suites", ciphers) }
        if let curves = settings.curves { try check(sluice_tls_curves(context, curves) == 1, "ssl.curves.list", curves) }
        if let signatures = settings.signatures { try check(sluice_tls_signatures(context, signatures) == 1, "ssl.sigalgs.list", signatures) }
        if settings.checksCertificate {
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            if let authorities = settings.authorities {
                var status = stat()
                let isFolder = stat(authorities, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
                try check(
                    SSL_CTX_load_verify_locations(context, isFolder ? nil : authorities, isFolder ? authorities : nil) == 1,
                    "ssl.ca.location", authorities)
            }
            if let pem = settings.authoritiesPEM {
                var count = 0
                try certificates(pem) { certificate in
                    count += 1
                    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate)
                }
                try check(count > 0, "ssl.ca.pem", nil)
            }
            if settings.authorities == nil && settings.authoritiesPEM == nil { SSL_CTX_set_default_verify_paths(context) }
        } else {
            SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        }
        try showOurs(context, settings, check)
    }

    private static func showOurs(
        _ context: OpaquePointer, _ settings: BrokerAccess.TLS, _ check: (Bool, String, String?) throws -> Void
    ) throws {
        if let file = settings.certificateFile {
            try check(SSL_CTX_use_certificate_chain_file(context, file) == 1, "ssl.certificate.location", file)
        } else if let pem = settings.certificatePEM {
            var count = 0
            try certificates(pem) { certificate in
                if count == 0 {
                    try check(SSL_CTX_use_certificate(context, certificate) == 1, "ssl.certificate.pem", nil)
                } else {
                    X509_up_ref(certificate)
                    SSL_CTX_ctrl(context, SSL_CTRL_EXTRA_CHAIN_CERT, 0, UnsafeMutableRawPointer(certificate))
                }
                count += 1
            }
            try check(count > 0, "ssl.certificate.pem", nil)
        }
        guard settings.keyFile != nil || settings.keyPEM != nil else { return }
        let name = settings.keyFile != nil ? "ssl.key.location" : "ssl.key.pem"
        let bio = settings.keyFile.map { BIO_new_file($0, "r") } ?? settings.keyPEM.flatMap { BIO_new_mem_buf($0, Int32($0.utf8.count)) }
        try check(bio != nil, name, settings.keyFile)
        defer { BIO_free(bio) }
        // Without a password OpenSSL would ask for one at the terminal.
        let password = settings.keyPassword ?? ""
        let key = password.withCString { PEM_read_bio_PrivateKey(bio, nil, nil, UnsafeMutableRawPointer(mutating: $0)) }
        try check(key != nil, name, settings.keyFile)
        defer { EVP_PKEY_free(key) }
        try check(SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1, name, settings.keyFile)
    }

    private static func certificates(_ pem: String, _ body: (OpaquePointer) throws -> Void) throws {
        guard let bio = BIO_new_mem_buf(pem, Int32(pem.utf8.count)) else { return }
        defer { BIO_free(bio) }
        while let certificate = PEM_read_bio_X509(bio, nil, nil, nil) {
            defer { X509_free(certificate) }
            try body(certificate)
        }
        // The end of the text is an error to it.
        ERR_clear_error()
    }
}
