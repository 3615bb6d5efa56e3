#include "tools/ptrain/cli.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <numeric>

#include <toml++/toml.h>

#include "train/interrupt.hpp"

namespace ptrain::cli {
namespace {

// Number of single-character edits between two names (Levenshtein 1966).
size_t edits(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j)
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])}));
  }
  return row[b.size()];
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* o : app.get_options())
    for (const std::string& name : o->get_lnames()) names.push_back(name);
  return names;
}

std::string suggestion(const std::string& name, const std::vector<std::string>& known, const std::string& prefix) {
  const std::string near = nearest(name, known);
  return near.empty() ? "" : "; did you mean " + prefix + near + "?";
}

std::string scalar_text(const toml::node& node, const std::string& where) {
  if (const auto v = node.value_exact<std::string>()) return *v;
  if (const auto v = node.value_exact<bool>()) return *v ? "true" : "false";
  if (const auto v = node.value_exact<int64_t>()) return fmt::format("{}", *v);
  if (const auto v = node.value_exact<double>()) return fmt::format("{}", *v);
  fail(ErrorKind::usage, where, " must be a string, a number, true, false, or a list of these");
}

// The configuration as arguments that come before those of the command line, so that these win.
std::vector<std::string> arguments_of(const std::string& path, const CLI::App& command) {
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& e) {
    fail(ErrorKind::usage, "reading the configuration ", path, ": ", e.description(), " (line ", e.source().begin.line, ")");
  }
  std::vector<std::string> arguments;
  for (const auto& [key, node] : table) {
    const std::string name(key.str()), where = "the value of '" + name + "' in " + path;
    if (!command.get_option_no_throw("--" + name) || name == "config")
      fail(ErrorKind::usage, "reading the configuration ", path, ": unknown key '", name, "' for ", command.get_name(),
           suggestion(name, option_names(command), ""));
    std::string text;
    if (const toml::array* list = node.as_array())
      for (const toml::node& item : *list) text += (text.empty() ? "" : ",") + scalar_text(item, where);
    else text = scalar_text(node, where);
    if (text.empty())
      arguments.insert(arguments.end(), {"--" + name, ""});  // after "--name=" CLI11 would take the next argument as the value
    else arguments.push_back("--" + name + "=" + text);
  }
  return arguments;
}

// The last value of an option, or "".
std::string value_of(const std::string& option, const std::vector<std::string>& arguments) {
  std::string value;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == option && i + 1 < arguments.size()) value = arguments[i + 1];
    else if (arguments[i].starts_with(option + "=")) value = arguments[i].substr(option.size() + 1);
  }
  return value;
}

// The configuration that stands behind the command line: the one that was named, or that of the run which is resumed.
std::string config_path(const std::vector<std::string>& arguments) {
  const std::string named = value_of("--config", arguments);
  const bool resume = std::find(arguments.begin(), arguments.end(), "--resume") != arguments.end();
  if (!named.empty() || !resume) return named;
  const std::string path = value_of("--out", arguments) + "/resolved.toml";
  return std::filesystem::exists(path) ? path : "";
}

// Before anything else is said about the options: a name that is not known, with the nearest one that is.
void check_names(const CLI::App& app, const std::vector<std::string>& arguments) {
  for (const std::string& a : arguments) {
    if (a == "--") return;
    const std::string name = a.substr(0, a.find('='));
    if (name.starts_with("--") && !app.get_option_no_throw(name))
      fail(ErrorKind::usage, "unknown option ", name, suggestion(name.substr(2), option_names(app), "--"));
  }
}

int report(const std::string& message, int code) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return code;
}

int run(CLI::App& program, std::vector<std::unique_ptr<Command>>& commands, std::vector<std::string> arguments) {
  Command* command = nullptr;
  for (const auto& c : commands)
    if (!arguments.empty() && c->app().get_name() == arguments[0]) command = c.get();
  if (!command && !arguments.empty() && !arguments[0].starts_with("-")) {
    if (arguments[0] == "help") {
      arguments.erase(arguments.begin());
      arguments.push_back("--help");
      return run(program, commands, arguments);
    }
    std::vector<std::string> names;
    for (const auto& c : commands) names.push_back(c->app().get_name());
    fail(ErrorKind::usage, "unknown command '", arguments[0], "'", suggestion(arguments[0], names, ""), "\n  '", program.get_name(),
         " --help' lists the commands");
  }
  check_names(command ? command->app() : program, arguments);
  if (command)
    if (const std::string path = config_path(arguments); !path.empty()) {
      const std::vector<std::string> configured = arguments_of(path, command->app());
      arguments.insert(arguments.begin() + 1, configured.begin(), configured.end());
    }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
    program.parse(reversed);
  } catch (const CLI::Success& e) {
    return program.exit(e);
  } catch (const CLI::ParseError& e) {
    fail(ErrorKind::usage, e.what());
  }
  command->run();
  return 0;
}

}  // namespace

Command::Command(CLI::App& program, const std::string& name, const std::string& summary, const std::string& examples)
    : app_(program.add_subcommand(name, summary)) {
  app_->footer("Examples:\n" + examples);
  app_->add_option("--config", "read options from FILE.toml; the command line wins")->option_text("FILE.toml");
}

std::string Command::resolved_toml() const {
  std::string text;
  for (const auto& [name, value] : shown_) text += name + " = " + value() + "\n";
  return text;
}

std::string Command::quoted(const std::string& text) {
  std::string out = "\"";
  for (const char ch : text) {
    if (ch == '"' || ch == '\\') out += '\\', out += ch;
    else if (static_cast<unsigned char>(ch) < 0x20 || ch == 0x7f) out += fmt::format("\\u{:04x}", int(ch));
    else out += ch;
  }
  return out + "\"";
}

std::string nearest(const std::string& name, const std::vector<std::string>& known) {
  std::string best;
  size_t fewest = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& k : known)
    if (const size_t n = edits(name, k); n < fewest) fewest = n, best = k;
  return best;
}

int main(CLI::App& program, std::vector<std::unique_ptr<Command>>& commands, int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that reaches its size limit is an error of the write, like a full disk
  try {
    return run(program, commands, {argv + 1, argv + argc});
  } catch (const Interrupted& e) {
    return report(e.what(), 128 + e.signal());
  } catch (const Error& e) {
    return report(e.what(), int(e.kind()));
  } catch (const std::bad_alloc&) {
    return report("out of memory", int(ErrorKind::device));
  } catch (const std::exception& e) {
    return report(e.what(), int(ErrorKind::failed));
  }
}

}  // namespace ptrain::cli
