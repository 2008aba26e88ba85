// Answers questions about the next word with libpresage: one line in, one line out.
//
//     presage_driver CONFIG
//
// CONFIG is a profile like /etc/presage.xml. A line of standard input is the text before the cursor, the line of
// standard output that answers it Presage's suggestions, the best first, with tabs between them.

#include <presage.h>

#include <exception>
#include <iostream>
#include <string>

class TextBeforeCursor : public PresageCallback {
public:
    std::string get_past_stream() const override { return text; }
    std::string get_future_stream() const override { return ""; }

    std::string text;
};

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: presage_driver CONFIG" << std::endl;
        return 2;
    }
    try {
        TextBeforeCursor field;
        Presage presage(&field, argv[1]);
        while (std::getline(std::cin, field.text)) {
            const char* between = "";
            for (const std::string& word : presage.predict()) {
                std::cout << between << word;
                between = "\t";
            }
            std::cout << std::endl;
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
    return 0;
}
