import Glibc

/// Tells what may not be read from what is not there and from what is broken: in a folder that is closed nothing seems to be,
/// and SQLite says of a file that is closed only that it cannot open it.
enum ReadAccess {
    /// - Returns: what to tell who may not read a file; nil for those who may, or where there is no file.
    static func refusal(_ path: String) -> String? {
        guard access(path, R_OK) != 0, errno == EACCES else { return nil }
        return "you may not read \(path); use sudo, or be of the group that may: "
            + "of the package it is headgate (sudo adduser NAME headgate)"
    }
}
