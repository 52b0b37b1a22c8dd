/// How the records of a topic are written.
public enum RecordFormat: String, Sendable, Codable, CaseIterable { case avro, json }
