import Engine
import Model

/// Which account may speak for which person at the local socket, where nothing is signed.
enum SocketRule {
    /// Why `account` may not, in words; nil where it may.
    ///
    /// A list of accounts counts alone. Without one a person who has a key is only spoken for by the account of the same name:
    /// a key is given to somebody so that nobody else can use the name. The superuser and the gateway's own account may, since
    /// both could change the site file; what they do is recorded as theirs. A person without a key is a name for whoever may
    /// open the socket.
    ///
    /// - Parameter ownUserID: of the account that the gateway runs under.
    static func objection(to account: LocalAccount, speakingFor issuer: Issuer, ownUserID: UInt32) -> String? {
        let word = account.userName ?? "uid \(account.userID)"
        if let accounts = issuer.accounts {
            if accounts.contains(where: account.isCalled) { return nil }
            return "\(word) may not speak for \(issuer.name) at the socket"
        }
        if issuer.key == .none || account.isCalled(issuer.name) || [0, ownUserID].contains(account.userID) {
            return nil
        }
        return "\(word) may not speak for \(issuer.name) at the socket: \(issuer.name) has a key, so only the account "
            + "\(issuer.name) may; accounts: in the site file names others"
    }
}
