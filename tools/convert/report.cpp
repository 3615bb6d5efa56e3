#include "tools/convert/report.hpp"

#include <fmt/format.h>

namespace ptrain::convert {
namespace {

std::string head_text(const Plan::HeadPlan& h) {
  std::string text;
  for (size_t i = 0; i < h.units.size(); ++i) text += fmt::format("dense {} relu, dropout {:g}, ", h.units[i], h.dropout[i]);
  return text + fmt::format("{} classes", h.classes);
}

std::string keras_text(const Plan& p) {
  return p.keras_version.empty() ? "not named in the file" : p.keras_version + (p.backend.empty() ? "" : " on " + p.backend);
}

}  // namespace

std::string printable(const std::string& text) {
  std::string safe;
  for (const char c : text)
    if (uint8_t(c) >= 0x20 && c != 0x7f) safe += c;
    else if (c == '\n') safe += c;
    else safe += fmt::format("\\x{:02x}", uint8_t(c));
  return safe;
}

std::string report_text(const ConvertOptions& o, const ConvertReport& r) {
  std::string t;
  const auto line = [&](const char* name, const std::string& value) { t += fmt::format("{:<12}{}\n", name, printable(value)); };
  line("file", o.file.string());
  line("dialect", r.plan.dialect);
  line("keras", keras_text(r.plan));
  line("net", fmt::format("{} ({}), {} top", r.plan.net, r.keras_net, r.plan.top ? "with" : "without"));
  line("tensors", fmt::format("{}/{} tensors, {} unused", r.base_tensors, r.base_tensors, r.plan.unused.size()));
  if (r.plan.head) line("head", head_text(*r.plan.head) + fmt::format(" ({} tensors)", r.tensors - r.base_tensors));
  line("parameters", fmt::format(fmt::runtime("{}"), r.parameters));
  line("official", r.official);
  line("input", fmt::format("{} bytes, SHA-256 {}", r.input_bytes, r.input_sha256));
  if (o.out.empty()) line("output", "none (--check)");
  else line("output", fmt::format("{}, {} bytes, SHA-256 {}", o.out.string(), r.output_bytes, r.output_sha256));
  for (const std::string& u : r.plan.unused) line("unused", u);
  for (const std::string& n : r.plan.notes) line("note", n);
  if (!r.seccomp) line("note", "this kernel has no seccomp: the file was read under resource limits alone");
  return t;
}

nlohmann::json report_json(const ConvertOptions& o, const ConvertReport& r) {
  nlohmann::json j{
      {"ok", true},
      {"file", o.file.string()},
      {"dialect", r.plan.dialect},
      {"keras_version", r.plan.keras_version},
      {"backend", r.plan.backend},
      {"net", r.plan.net},
      {"keras_net", r.keras_net},
      {"top", r.plan.top},
      {"tensors",
       {{"found", r.base_tensors}, {"expected", r.base_tensors}, {"head", r.tensors - r.base_tensors}, {"unused", r.plan.unused.size()}}},
      {"parameters", r.parameters},
      {"official", r.official},
      {"input", {{"bytes", r.input_bytes}, {"sha256", r.input_sha256}}},
      {"unused", r.plan.unused},
      {"notes", r.plan.notes},
      {"sandbox", r.seccomp ? "limits and seccomp" : "limits"},
  };
  if (!r.input_md5.empty()) j["input"]["md5"] = r.input_md5;
  if (!o.out.empty()) j["output"] = {{"file", o.out.string()}, {"bytes", r.output_bytes}, {"sha256", r.output_sha256}};
  if (r.plan.head)
    j["head"] = {
        {"dense", r.plan.head->units}, {"dropout", r.plan.head->dropout}, {"l2", r.plan.head->l2}, {"classes", r.plan.head->classes}};
  return j;
}

}  // namespace ptrain::convert
