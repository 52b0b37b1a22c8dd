// A message about a job as it travels: the job on the first line, the rest on the second, both JSON.
//
// A job's description is some kilobytes of settings that are the same in every message; written and read each time it was
// a third of what a small batch cost driver and worker. So its text is kept on both sides: the sender writes it once, the
// receiver reads it once and afterwards compares bytes. Nobody has to know what the other side has seen, a restart
// changes nothing, and `curl` still shows what is said.

import Engine
import FoundationEssentials
import Synchronization

/// A message whose `job` is not part of its own JSON.
package protocol JobMessage: Codable, Sendable {
    var job: JobSpec { get set }
}

extension JobSpec {
    /// Stands in a message whose job has not been put in yet.
    static let elsewhere = JobSpec(
        name: "", jobID: JobID(text: ""), definition: "", settings: [:], planDigest: "", buildDigest: "",
        schemaText: nil, lane: "")
}

package enum JobLine {
    /// The last few of each; a process has few jobs.
    private static let written = Mutex<[(job: JobSpec, line: [UInt8])]>([])
    private static let seen = Mutex<[(line: [UInt8], job: JobSpec)]>([])
    private static let most = 16
    private static let newline = UInt8(ascii: "\n")

    package static func body(_ message: some JobMessage) throws -> [UInt8] {
        var body = try line(of: message.job)
        body += try JSONEncoder().encode(message)
        return body
    }

    package static func message<Message: JobMessage>(_ type: Message.Type, in body: [UInt8]) throws -> Message {
        guard let end = body.firstIndex(of: newline) else {
            throw Failure(
                .wrongUsage, "a message about a job has one line", why: "its job stands on the first, the rest on the second",
                now: "send both, as ARCHITECTURE.md says")
        }
        let job = try job(in: body[...end])
        do {
            var message = try JSONDecoder().decode(type, from: Data(body[(end + 1)...]))
            message.job = job
            return message
        } catch {
            throw unreadable("\(type)", error)
        }
    }

    private static func line(of job: JobSpec) throws -> [UInt8] {
        if let known = written.withLock({ $0.first { $0.job == job }?.line }) { return known }
        // Escaped by the encoder: a line break is none in it.
        let line = [UInt8](try JSONEncoder().encode(job)) + [newline]
        written.withLock { keep((job, line), in: &$0) }
        return line
    }

    private static func job(in line: ArraySlice<UInt8>) throws -> JobSpec {
        if let known = seen.withLock({ $0.first { $0.line.elementsEqual(line) }?.job }) { return known }
        do {
            let job = try JSONDecoder().decode(JobSpec.self, from: Data(line))
            seen.withLock { keep((Array(line), job), in: &$0) }
            return job
        } catch {
            throw unreadable("JobSpec", error)
        }
    }

    private static func keep<Entry>(_ entry: Entry, in list: inout [Entry]) {
        if list.count == most { list.removeFirst() }
        list.append(entry)
    }

    private static func unreadable(_ type: String, _ error: any Error) -> Failure {
        Failure(
            .wrongUsage, "a message about a job cannot be read", why: "expected \(type) as JSON: \(place(of: error))",
            now: "driver and workers must be of the same build")
    }
}
