// Statements out of libpg_query's tree.

import CPGQuery

extension TreeReader {
    mutating func statement(_ raw: UnsafeMutablePointer<PgQuery__RawStmt>) throws(SQLFault) -> Statement {
        let start = text.token(from: Int(raw.pointee.stmt_location))
        let place = text.place(start)
        guard let node = raw.pointee.stmt else { throw notYet("an empty statement", at: place) }
        switch node.pointee.node_case {
        case PG_QUERY__NODE__NODE_CREATE_STMT: return Statement(.createTable(try createTable(node.pointee.create_stmt, at: place)), at: place)
        case PG_QUERY__NODE__NODE_VIEW_STMT: return Statement(.createView(try view(node.pointee.view_stmt, at: place)), at: place)
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
            return Statement(.createView(try materializedView(node.pointee.create_table_as_stmt, at: place)), at: place)
        case PG_QUERY__NODE__NODE_INSERT_STMT: return Statement(.insert(try insert(node.pointee.insert_stmt, at: place)), at: place)
        case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT: return Statement(.set(try setting(node.pointee.variable_set_stmt, at: place)), at: place)
        case PG_QUERY__NODE__NODE_SELECT_STMT: return Statement(.select(try query(node.pointee.select_stmt, at: place)), at: place)
        default:
            throw outOfPlace(
                firstWords(from: start), at: place, why: "a job's text says what is read, computed and written",
                hint: "write CREATE TABLE, CREATE VIEW, CREATE MATERIALIZED VIEW, INSERT INTO ... SELECT, SET or SELECT")
        }
    }

    /// `UPDATE`, `DROP TABLE`: how a statement that is refused is called.
    private func firstWords(from start: Int) -> String {
        let words = String(decoding: text.bytes[start...].prefix(80), as: UTF8.self).split { !$0.isLetter }.map { $0.uppercased() }
        let isLong = ["CREATE", "ALTER", "DROP", "REFRESH"].contains(words.first ?? "")
        return words.prefix(isLong ? 2 : 1).joined(separator: " ")
    }

    private mutating func createTable(_ create: UnsafeMutablePointer<PgQuery__CreateStmt>, at place: Place) throws(SQLFault) -> CreateTable {
        let create = create.pointee
        let name = try tableName(create.relation)
        guard create.relation.pointee.relpersistence.map({ $0.pointee == CChar(UInt8(ascii: "p")) }) ?? true else {
            throw notYet("TEMPORARY or UNLOGGED", at: place)
        }
        if create.if_not_exists != 0 {
            throw outOfPlace(
                "IF NOT EXISTS", at: name.place, why: "a job declares each of its tables once, and makes nothing here", hint: "leave it out")
        }
        if create.n_inh_relations > 0 { throw notYet("INHERITS", at: place) }
        if create.partspec != nil || create.partbound != nil { throw notYet("PARTITION", at: place) }
        if create.of_typename != nil { throw notYet("OF type", at: place) }
        if create.tablespacename.isPresent || create.access_method.isPresent { throw notYet("TABLESPACE or USING", at: place) }
        if create.oncommit.rawValue > PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_NOOP.rawValue { throw notYet("ON COMMIT", at: place) }
        var columns: [ColumnDefinition] = []
        var keys: [[Identifier]] = []
        for node in nodes(create.table_elts, create.n_table_elts) + nodes(create.constraints, create.n_constraints) {
            switch node.pointee.node_case {
            case PG_QUERY__NODE__NODE_COLUMN_DEF: columns.append(try column(node.pointee.column_def.pointee, keys: &keys))
            case PG_QUERY__NODE__NODE_CONSTRAINT:
                let constraint = node.pointee.constraint.pointee
                let place = self.place(constraint.location)
                guard constraint.contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY else { throw notYet(constraint.name, at: place) }
                try checkKey(constraint, at: place)
                keys.append(try names(nodes(constraint.keys, constraint.n_keys), at: place))
            default: throw notYet("LIKE", at: place)
            }
        }
        if keys.count > 1 {
            throw SQLFault("a second PRIMARY KEY", at: keys[1][0].place, why: "a table has one", hint: "name all of its columns in one")
        }
        return CreateTable(name: name, columns: columns, primaryKey: keys.first, options: try options(nodes(create.options, create.n_options)))
    }

    private func checkKey(_ constraint: PgQuery__Constraint, at place: Place) throws(SQLFault) {
        if constraint.deferrable != 0 || constraint.initdeferred != 0 { throw notYet("DEFERRABLE", at: place) }
        if constraint.n_including > 0 || constraint.n_options > 0 || constraint.indexname.isPresent { throw notYet("a PRIMARY KEY with more than columns", at: place) }
    }

    private mutating func column(_ column: PgQuery__ColumnDef, keys: inout [[Identifier]]) throws(SQLFault) -> ColumnDefinition {
        let place = place(column.location)
        let name = Identifier(String(cString: column.colname), at: place)
        guard let typeName = column.type_name else { throw notYet("a column without a type", at: place) }
        if column.coll_clause != nil { throw notYet("COLLATE of a column", at: place, hint: "leave it out: text compares by its bytes") }
        if column.compression.isPresent || column.storage.isPresent || column.n_fdwoptions > 0 { throw notYet("COMPRESSION, STORAGE or OPTIONS", at: place) }
        var (isNotNull, isNull) = (false, false)
        var defaultValue: ExpressionSyntax?
        var generated: ExpressionSyntax?
        for node in nodes(column.constraints, column.n_constraints) {
            guard node.pointee.node_case == PG_QUERY__NODE__NODE_CONSTRAINT else { throw notYet("this of a column", at: place) }
            let constraint = node.pointee.constraint.pointee
            let place = self.place(constraint.location)
            switch constraint.contype {
            case PG_QUERY__CONSTR_TYPE__CONSTR_NULL: isNull = true
            case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL: isNotNull = true
            case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT where defaultValue == nil: defaultValue = try expression(constraint.raw_expr, at: place)
            case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED where generated == nil: generated = try expression(constraint.raw_expr, at: place)
            case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT, PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
                throw SQLFault("a second \(constraint.name)", at: place, why: "column \"\(name.text)\" has one already", hint: "leave one out")
            case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
                try checkKey(constraint, at: place)
                keys.append([name])
            default: throw notYet(constraint.name, at: place)
            }
        }
        if isNull && isNotNull { throw SQLFault("NULL and NOT NULL of one column", at: place, why: "they contradict each other", hint: "leave one out") }
        if generated != nil && defaultValue != nil {
            throw SQLFault("a default of a generated column", at: place, why: "its value is always computed", hint: "leave DEFAULT out")
        }
        return ColumnDefinition(name: name, type: try type(typeName.pointee), isNotNull: isNotNull, defaultValue: defaultValue, generated: generated)
    }

    private func options(_ nodes: [NodePointer]) throws(SQLFault) -> [Option] {
        var options: [Option] = []
        for node in nodes where node.pointee.node_case == PG_QUERY__NODE__NODE_DEF_ELEM {
            let element = node.pointee.def_elem.pointee
            let key = Identifier(String(cString: element.defname), at: place(element.location))
            if element.defnamespace.isPresent {
                throw notYet("an option with a point in its name", at: key.place, hint: "write \"\(String(cString: element.defnamespace)).\(key.text)\" in quotes")
            }
            options.append(Option(key: key, value: try optionValue(element.arg, of: key)))
        }
        return options
    }

    private func optionValue(_ node: NodePointer?, of key: Identifier) throws(SQLFault) -> String {
        guard let node else { return "true" }
        switch node.pointee.node_case {
        case PG_QUERY__NODE__NODE_STRING: return String(cString: node.pointee.string.pointee.sval)
        case PG_QUERY__NODE__NODE_INTEGER: return String(node.pointee.integer.pointee.ival)
        case PG_QUERY__NODE__NODE_FLOAT: return String(cString: node.pointee.float_.pointee.fval)
        case PG_QUERY__NODE__NODE_TYPE_NAME:
            let type = node.pointee.type_name.pointee
            if type.n_typmods == 0, type.n_array_bounds == 0, type.setof == 0, type.pct_type == 0 {
                return try name(nodes(type.names, type.n_names), at: key.place, kind: "value").text
            }
        default: break
        }
        throw SQLFault("the value of \"\(key.text)\" is neither text nor number", at: key.place, why: "options are texts", hint: "write it as '...'")
    }

    private mutating func view(_ view: UnsafeMutablePointer<PgQuery__ViewStmt>, at place: Place) throws(SQLFault) -> CreateView {
        let view = view.pointee
        let name = try tableName(view.view)
        if view.replace != 0 {
            throw outOfPlace("OR REPLACE", at: place, why: "a text declares each name once; changing a job is `submit --replace`", hint: "leave it out")
        }
        if !(view.view.pointee.relpersistence.map { $0.pointee == CChar(UInt8(ascii: "p")) } ?? true) { throw notYet("TEMPORARY", at: place) }
        if view.with_check_option.rawValue > PG_QUERY__VIEW_CHECK_OPTION__NO_CHECK_OPTION.rawValue { throw notYet("WITH CHECK OPTION", at: place) }
        let options = try options(nodes(view.options, view.n_options))
        if let option = options.first {
            throw outOfPlace(
                "an option of a plain view", at: option.key.place, why: "a view is only a name for its query",
                hint: "write CREATE MATERIALIZED VIEW where the view is to be an output")
        }
        return CreateView(
            name: name, isMaterialized: false, columns: try names(nodes(view.aliases, view.n_aliases), at: name.place), options: [],
            query: try query(selectStatement(view.query, at: place), at: place))
    }

    private mutating func materializedView(_ create: UnsafeMutablePointer<PgQuery__CreateTableAsStmt>, at place: Place) throws(SQLFault) -> CreateView {
        let create = create.pointee
        guard create.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW, let into = create.into?.pointee else {
            throw outOfPlace(
                "CREATE TABLE AS", at: place, why: "a table of a job is declared with its connector", hint: "write CREATE MATERIALIZED VIEW ... AS SELECT ...")
        }
        if create.if_not_exists != 0 {
            throw outOfPlace("IF NOT EXISTS", at: place, why: "a job declares each of its views once", hint: "leave it out")
        }
        if into.skip_data != 0 { throw outOfPlace("WITH NO DATA", at: place, why: "a job fills its views by running", hint: "leave it out") }
        if into.access_method.isPresent || into.table_space_name.isPresent { throw notYet("TABLESPACE or USING", at: place) }
        let name = try tableName(into.rel)
        return CreateView(
            name: name, isMaterialized: true, columns: try names(nodes(into.col_names, into.n_col_names), at: name.place),
            options: try options(nodes(into.options, into.n_options)), query: try query(selectStatement(create.query, at: place), at: place))
    }

    private mutating func insert(_ insert: UnsafeMutablePointer<PgQuery__InsertStmt>, at place: Place) throws(SQLFault) -> Insert {
        let insert = insert.pointee
        let table = try tableName(insert.relation)
        if insert.relation.pointee.alias != nil { throw notYet("an alias of the table inserted into", at: table.place) }
        if insert.with_clause != nil {
            throw notYet("WITH before INSERT", at: place, hint: "write it behind: INSERT INTO \(table.text) WITH ... SELECT ...")
        }
        if insert.on_conflict_clause != nil {
            throw outOfPlace("ON CONFLICT", at: table.place, why: "what a key means is declared with the table", hint: "give the table a PRIMARY KEY, and leave it out")
        }
        if insert.n_returning_list > 0 { throw outOfPlace("RETURNING", at: table.place, why: "nobody waits for the rows", hint: "leave it out") }
        if insert.override.rawValue > PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET.rawValue { throw notYet("OVERRIDING", at: table.place) }
        guard let select = insert.select_stmt else {
            throw outOfPlace("DEFAULT VALUES", at: table.place, why: "a job inserts what a query gives", hint: "write INSERT INTO \(table.text) SELECT ...")
        }
        var columns: [Identifier] = []
        for node in nodes(insert.cols, insert.n_cols) where node.pointee.node_case == PG_QUERY__NODE__NODE_RES_TARGET {
            let target = node.pointee.res_target.pointee
            let column = Identifier(String(cString: target.name), at: self.place(target.location))
            if target.n_indirection > 0 { throw notYet("a part of a column", at: column.place) }
            columns.append(column)
        }
        return Insert(table: table, columns: columns, query: try query(selectStatement(select, at: place), at: place))
    }

    private func setting(_ set: UnsafeMutablePointer<PgQuery__VariableSetStmt>, at place: Place) throws(SQLFault) -> Setting {
        let set = set.pointee
        guard set.kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE else {
            throw outOfPlace("this SET", at: place, why: "a job's settings are given once, with their values", hint: "write SET key = value")
        }
        if set.is_local != 0 { throw outOfPlace("SET LOCAL", at: place, why: "settings hold for the whole job", hint: "write SET key = value") }
        let key = String(cString: set.name)
        let values = nodes(set.args, set.n_args)
        guard values.count == 1, values[0].pointee.node_case == PG_QUERY__NODE__NODE_A_CONST else {
            throw SQLFault("SET \(key) without one value", at: place, why: "a setting is one text or number", hint: "write SET \(key) = '...'")
        }
        let constant = values[0].pointee.a_const.pointee
        switch try literal(constant, at: self.place(constant.location)) {
        case .text(let text), .number(let text): return Setting(key: key, value: text)
        case .boolean(let value): return Setting(key: key, value: value ? "true" : "false")
        case .null: throw SQLFault("SET \(key) to NULL", at: place, why: "a setting is a text or a number", hint: "leave the statement out")
        }
    }
}

extension PgQuery__Constraint {
    /// What the user wrote.
    fileprivate var name: String {
        switch contype {
        case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY: "GENERATED AS IDENTITY"
        case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED: "GENERATED"
        case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT: "DEFAULT"
        case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK: "CHECK"
        case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE: "UNIQUE"
        case PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION: "EXCLUDE"
        case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN: "REFERENCES"
        default: "this constraint"
        }
    }
}
