/// The version of this build, as `headgate --version` says it and `status/1` publishes it.
package let headgateVersion = "0.1.0"
