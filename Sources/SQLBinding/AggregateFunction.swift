// The aggregates: which there are, what they take, what they give.
//
// Result types are PostgreSQL's: sums of integers are wider than their arguments, averages of them numeric.

import SQLSyntax
import Values

public enum AggregateFunction: String, Sendable, Hashable, CaseIterable {
    case count, sum, avg, min, max
    case boolAnd = "bool_and", boolOr = "bool_or"

    /// The function of a name; `every` is PostgreSQL's other name of `bool_and`.
    static func named(_ name: String) -> AggregateFunction? { name == "every" ? .boolAnd : AggregateFunction(rawValue: name) }

    /// Aggregates of PostgreSQL's that come later, so that their names are not taken for mistakes.
    static let notYet: Set<String> = [
        "string_agg", "array_agg", "jsonb_agg", "json_agg", "jsonb_object_agg", "json_object_agg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop",
        "var_samp", "percentile_cont", "percentile_disc", "mode", "first_value", "last_value", "bit_and", "bit_or", "bit_xor", "corr", "covar_pop", "covar_samp",
        "approx_count_distinct", "approx_percentile", "any_value",
    ]

    /// The type that the argument is brought to, and the type of the result; nil where it does not take the argument.
    func types(of argument: SQLType) -> (argument: SQLType, result: SQLType)? {
        switch (self, argument) {
        case (.count, .unknown): (.text, .int8)
        case (.count, _): (argument, .int8)
        case (.sum, .int2), (.sum, .int4): (argument, .int8)
        case (.sum, .int8), (.sum, .numeric), (.avg, .numeric): (argument, .numeric)
        case (.avg, .int2), (.avg, .int4), (.avg, .int8): (argument, .numeric)
        case (.sum, .float4): (argument, .float4)
        case (.sum, .float8), (.avg, .float4), (.avg, .float8): (argument, .float8)
        case (.sum, .interval), (.avg, .interval): (argument, .interval)
        case (.min, .unknown), (.max, .unknown): (.text, .text)
        case (.min, _), (.max, _): Self.isOrdered(argument) ? (argument, argument) : nil
        case (.boolAnd, .bool), (.boolOr, .bool), (.boolAnd, .unknown), (.boolOr, .unknown): (.bool, .bool)
        default: nil
        }
    }

    /// PostgreSQL has no least boolean, uuid or jsonb.
    private static func isOrdered(_ type: SQLType) -> Bool {
        switch type {
        case .bool, .uuid, .jsonb, .bytea, .row, .unknown: false
        case .list(let element): isOrdered(element)
        default: true
        }
    }
}
