#include "train/json_lines.hpp"

#include "kernels/error.hpp"

namespace ptrain {
namespace {

LineFile open_file(std::filesystem::path path, std::optional<int64_t> resume_at) {
  if (!resume_at) return LineFile(std::move(path));
  return LineFile(std::move(path), [at = *resume_at](std::string_view line, size_t) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) return false;
    const auto epoch = object.find("epoch");
    return epoch == object.end() || !epoch->is_number_integer() || epoch->get<int64_t>() < at;
  });
}

}  // namespace

JsonLines::JsonLines(std::filesystem::path path, std::optional<int64_t> resume_at) : file_(open_file(std::move(path), resume_at)) {}

void JsonLines::write(const nlohmann::ordered_json& object) {
  REQUIRE_THAT(object.is_object(), "a line of a log must be an object, not ", object.type_name());
  file_.write(object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace ptrain
