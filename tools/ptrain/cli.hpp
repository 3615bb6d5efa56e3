// defines: Command and parse(): the command line and the TOML configuration, which know the same names
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "kernels/error.hpp"

namespace ptrain::cli {

// One command of a program. Options are bound to variables; what they hold after parsing can be written as TOML and read back.
class Command {
 public:
  Command(CLI::App& program, const std::string& name, const std::string& summary, const std::string& examples);

  template <class T>
  CLI::Option* option(const std::string& name, T& value, const std::string& help) {
    CLI::Option* o = app_->add_option(name, value, help)->capture_default_str();
    if constexpr (CLI::detail::is_mutable_container<T>::value) o->delimiter(',');
    else o->take_last();
    if (name.starts_with("--")) shown_.emplace_back(name.substr(2), [&value] { return toml_value(value); });
    return o;
  }
  CLI::Option* flag(const std::string& name, bool& value, const std::string& help) {
    shown_.emplace_back(name.substr(2), [&value] { return std::string(value ? "true" : "false"); });
    return app_->add_flag(name, value, help);
  }

  CLI::App& app() { return *app_; }
  std::string resolved_toml() const;  // every option with its value, in the order of the help text
  std::function<void()> run;          // what the command does, once its options are parsed

 private:
  static std::string quoted(const std::string& text);
  static std::string toml_value(const std::string& v) { return quoted(v); }
  static std::string toml_value(double v) { return fmt::format("{}", v); }
  static std::string toml_value(int64_t v) { return fmt::format("{}", v); }
  static std::string toml_value(uint64_t v) { return fmt::format("{}", v); }
  static std::string toml_value(int v) { return fmt::format("{}", v); }
  template <class T>
  static std::string toml_value(const std::vector<T>& values) {
    std::string text;
    for (const T& v : values) text += (text.empty() ? "" : ", ") + toml_value(v);
    return "[" + text + "]";
  }

  CLI::App* app_;
  std::vector<std::pair<std::string, std::function<std::string()>>> shown_;
};

// Parses and runs. Commands take `--config FILE.toml`: its values stand for options that the command line does not name. Returns the
// exit code; errors go to stderr as "error: …".
int main(CLI::App& program, std::vector<std::unique_ptr<Command>>& commands, int argc, char** argv);

// The name among `known` that is nearest to `name`, or "" when none is near.
std::string nearest(const std::string& name, const std::vector<std::string>& known);

}  // namespace ptrain::cli
