import Model

/// Names of types as many programs and register lists write them. What a name means differently here and there (`int`,
/// `long`, `word` of a source with a rule of its own) is the matter of its importer.
enum TypeNames {
    static func type(_ text: String) -> ValueType? {
        let name = Words.trimmed(text).lowercased().filter { $0 != "_" && $0 != " " && $0 != "-" }
        switch name {
        case "bool", "boolean", "bit", "coil": return .bool
        case "int16", "i16", "s16", "short", "sint16", "16int", "signed16", "int16signed": return .int16
        case "uint16", "u16", "word", "ushort", "16uint", "unsigned16": return .uint16
        case "int24", "i24", "s24": return .int24
        case "uint24", "u24": return .uint24
        case "int48", "i48", "s48": return .int48
        case "uint48", "u48": return .uint48
        case "int32", "i32", "s32", "long", "dint", "sint32", "32int", "signed32": return .int32
        case "uint32", "u32", "dword", "udint", "ulong", "32uint", "unsigned32": return .uint32
        case "int64", "i64", "s64", "llong", "lint", "64int", "signed64": return .int64
        case "uint64", "u64", "qword", "ulint", "64uint", "unsigned64": return .uint64
        case "float16", "16float": return .float16
        case "float", "float32", "f32", "real", "single", "32float", "ieee754": return .float32
        case "double", "float64", "f64", "lreal", "64float": return .float64
        case "bcd", "bcd16": return .bcd16
        case "lbcd", "bcd32": return .bcd32
        case "string", "str", "ascii": return .string
        default: return nil
        }
    }
}
