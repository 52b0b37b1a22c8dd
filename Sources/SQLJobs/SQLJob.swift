// A job that is a text of SQL: what driver and workers make of the settings that carry it.
//
// The text travels as a setting, like everything else that decides rows, so the log names it, a replay has it, and every worker compiles it
// for itself and compares digests. Paths in it are those of the directory where it was handed in.
//
// One output is written; what needs more is refused by name, with its place in the text.

import Dataflow
import Engine
import Foundation
import SQLBinding
import SQLSyntax
import Values

package struct SQLJob: CompiledJob {
    /// The name of the definition, in the catalog and in every task.
    package static let definition = "sql"
    /// The settings that carry it.
    package enum Carrier: String, CaseIterable {
        case query, values, directory

        package var key: String { rawValue }
    }

    package let name = Self.definition
    package let summary = "runs a text of SQL"
    /// No setting is empty; a text always comes with the job.
    package let defaults = [Carrier.query.key: "-- no text", Carrier.values.key: "{}", Carrier.directory.key: "."]
    /// Names of settings that a text may `SET`.
    private let settingNames: Set<String>

    package init(settings names: Set<String>) { settingNames = names }

    package func graph(_ settings: [String: String]) throws -> StageGraph {
        func carried(_ carrier: Carrier) -> String { settings[carrier.key] ?? "" }
        let name = settings["name"] ?? Self.definition
        do {
            let script = try Script(parsing: SourceText(carried(.query), name: name), values: StartValues(Self.values(carried(.values))))
            let job = try BoundJob(binding: script, settings: settingNames)
            if let place = script.question {
                throw SQLFault(
                    "a SELECT without an output", at: place, why: "a job writes its rows somewhere",
                    hint: "write CREATE MATERIALIZED VIEW name AS before it, or ask it with `sluice query`"
                ).error(in: script.text)
            }
            let plan = try SQLPlan(job, name: name, directory: carried(.directory), settings: settings)
            do { try WithoutEffect.check(job, reading: plan.sources, settings: script.settings) } catch { throw error.error(in: script.text) }
            return plan.graph
        } catch let error as SQLError {
            throw Failure(.notPossible, "\(error.source):\(error.line):\(error.column): \(error.what)", why: error.why, now: error.hint)
        }
    }

    /// Start values as one setting: a JSON object, its names sorted.
    package static func text(of values: [String: String]) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let data = try? encoder.encode(values), let text = String(validating: data, as: UTF8.self) else { preconditionFailure("texts are JSON") }
        return text
    }

    private static func values(_ text: String) throws -> [String: String] {
        guard let values = try? JSONDecoder().decode([String: String].self, from: Data(text.utf8)) else {
            throw Failure(
                .invalidSetting, "the start values of the job cannot be read", why: "they are no JSON object of texts", now: "hand the job in again with --value NAME=VALUE")
        }
        return values
    }
}

extension Script {
    fileprivate var settings: [(key: String, place: Place)] {
        statements.compactMap { if case .set(let setting) = $0.kind { (setting.key, $0.place) } else { nil } }
    }

    /// Where it asks a question.
    fileprivate var question: Place? { statements.first { if case .select = $0.kind { true } else { false } }?.place }
}
